#!/usr/bin/env bash
# One clinical document, written in two ways that are the same in XML: one library reads nothing of the second, and says nothing.
#
# A name in XML is a namespace and a local name; the prefix between them is whatever a writer likes (Namespaces in XML 1.0 §4). Python's
# xml.etree.ElementTree writes what it has read as <ClinicalDocument xmlns="urn:hl7-org:v3"> as <ns0:ClinicalDocument xmlns:ns0="urn:hl7-org:v3">.
#   ccda-to-fhir 0.3     reads both alike
#   @medplum/ccda 5.1.10 reads the first; of the second it returns undefined, and throws nothing; a ClinicalDocument of any other
#                        namespace it takes for a clinical document
# So a document that went through a script of a few lines (to take out a name, to set a time) arrives and is empty. Medvault goes by the
# namespace of the outermost element, under whatever prefix.
# Needs: bash, python3 with venv, node, npm.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv py && py/bin/pip -q install ccda-to-fhir==0.3
npm init -y >/dev/null && npm install --silent --no-audit --no-fund --ignore-scripts @medplum/ccda@5.1.10 >/dev/null
cat >read.py <<'PY'
import sys, xml.etree.ElementTree as ET
from ccda_to_fhir.ccda.parser import parse_ccda
text = """<ClinicalDocument xmlns="urn:hl7-org:v3"><realmCode code="US"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2015-08-01"/><id root="1.2.3"/><code code="34133-9" codeSystem="2.16.840.1.113883.6.1"/>
<title>Summary</title><effectiveTime value="20260501"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="en-US"/>
</ClinicalDocument>"""
again = ET.tostring(ET.fromstring(text), encoding="unicode")
for name, content in ("first", text), ("second", again), ("other", text.replace("urn:hl7-org:v3", "urn:another")):
    open(name + ".xml", "w").write(content)
print("written again as", again.split()[0])
one, other = (parse_ccda(content) for content in (text, again))
print("ccda-to-fhir", one.effective_time.value, "both alike" if one == other else "otherwise")
PY
cat >read.mjs <<'JS'
import { readFileSync } from "node:fs";
globalThis.WebSocket ??= class {}; // its bundle asks for one, and older node has none
const { convertXmlToCcda } = await import("@medplum/ccda");
for (const name of ["first", "second", "other"]) {
  console.log("@medplum/ccda", name, convertXmlToCcda(readFileSync(`${name}.xml`, "utf8"))?.effectiveTime[0]["@_value"]);
}
JS
seen=$(py/bin/python read.py; node read.mjs)
echo "$seen"
diff <(printf '%s\n' "written again as <ns0:ClinicalDocument" "ccda-to-fhir 20260501 both alike" \
  "@medplum/ccda first 20260501" "@medplum/ccda second undefined" "@medplum/ccda other 20260501") <(echo "$seen")
echo "as described"
