#!/usr/bin/env bash
# One file, three readers, three outcomes: the header says that elements are explicit, and they are implicit.
#
# pydicom 3.0.2 ships test_files/SC_rgb_jpeg.dcm (made by highdicom 0.1.0, as its header says). Its transfer syntax is JPEG
# Baseline (1.2.840.10008.1.2.4.50), for which DICOM PS3.5 A.4 asks for explicit VR; its data set is in implicit VR.
#   pydicom 3.0.2       warns "Expected explicit VR, but found implicit VR" and reads the study's UID
#   dicom-parser 1.8.21 throws "buffer overrun"
#   dcmjs 0.52.2        throws nothing, returns 1 element and no study's UID
# So a viewer on dcmjs shows a study without a name, and a gateway on it files the image under none.
# Needs: bash, python3 with venv, node, npm.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv py && py/bin/pip -q install pydicom==3.0.2
npm init -y >/dev/null && npm install --silent --no-audit --no-fund dicom-parser@1.8.21 dcmjs@0.52.2 >/dev/null
file=$(py/bin/python -c 'from pydicom.data import get_testdata_file; print(get_testdata_file("SC_rgb_jpeg.dcm"))' 2>/dev/null)
cat >read.py <<'PY'
import sys, warnings, pydicom
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    data = pydicom.dcmread(sys.argv[1])
said = any("found implicit VR" in str(one.message) for one in seen)
print("pydicom", "warns" if said else "is silent", str(data.StudyInstanceUID)[-6:])
PY
cat >read.mjs <<'JS'
import { readFileSync } from "node:fs";
import dcmjs from "dcmjs";
import parser from "dicom-parser";
const bytes = readFileSync(process.argv[2]);
try {
  parser.parseDicom(new Uint8Array(bytes));
  console.log("dicom-parser reads");
} catch (error) {
  console.log("dicom-parser throws", String(error.exception ?? error).includes("buffer overrun") ? "buffer overrun" : error);
}
const { dict } = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const study = dcmjs.data.DicomMetaDictionary.naturalizeDataset(dict).StudyInstanceUID;
console.log("dcmjs", Object.keys(dict).length, study);
JS
seen=$({ py/bin/python read.py "$file"; node read.mjs "$file" 2>/dev/null | grep -E '^(dicom-parser|dcmjs) '; })
echo "$seen"
diff <(printf '%s\n' "pydicom warns 806584" "dicom-parser throws buffer overrun" "dcmjs 1 undefined") <(echo "$seen")
echo "as described"
