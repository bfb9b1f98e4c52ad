"""That run.py can fail: each test changes a copy of the vectors, and the run over the copy must end with 1 and say where.

    python -m unittest
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent


class AlteredVectors(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.vectors = pathlib.Path(holder.name) / "vectors"
        shutil.copytree(HERE.parent, self.vectors, ignore=shutil.ignore_patterns("decryptor"))

    def alter(self, path: str, change) -> None:
        file = self.vectors / path
        case = json.loads(file.read_text())
        change(case)
        file.write_text(json.dumps(case))

    def run_over_copy(self) -> tuple[int, dict]:
        command = [sys.executable, "-B", HERE / "run.py", "--json", "--vectors", self.vectors]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return ended.returncode, json.loads(ended.stdout)

    def assert_differs(self, folder: str, words: str) -> None:
        code, report = self.run_over_copy()
        self.assertEqual((code, report["differ"]), (1, 1))
        (row,) = [row for row in report["rows"] if row["differ"]]
        self.assertEqual(row["folder"], folder)
        self.assertIn(words, row["differ"][0])

    def test_an_unchanged_copy_passes(self):
        code, report = self.run_over_copy()
        self.assertEqual((code, report["differ"]), (0, 0))
        self.assertGreater(report["opened"], 20)
        self.assertGreater(report["refused"], report["opened"])

    def test_one_bit_of_a_record(self):
        self.alter("content/06-open-padded.json", lambda case: flip(case["inputs"], "stream"))
        self.assert_differs("content", "found ('open failure', None)")

    def test_one_bit_of_a_permission_key(self):
        self.alter("permission-key/01-two-records.json", lambda case: flip(case["inputs"]["wrap"], "ciphertext"))
        self.assert_differs("permission-key", "found ('open failure', None)")

    def test_one_bit_of_a_signed_permission(self):
        self.alter("permissions/upload.json", lambda case: flip(case["inputs"], "permission", at=100))
        self.assert_differs("permissions", "upload.json")

    def test_another_plaintext_than_promised(self):
        self.alter("key-wrap/02-data-key.json", lambda case: flip(case, "gives"))
        self.assert_differs("key-wrap", "found ('success'")

    def test_a_case_that_must_fail_and_opens(self):
        right = json.loads((self.vectors / "permission-key/01-two-records.json").read_text())["inputs"]
        self.alter("permission-key/09-flipped-ciphertext.json", lambda case: case.update(inputs=right))
        self.assert_differs("permission-key", "09-flipped-ciphertext.json: expected ('open failure', None)")

    def test_another_failure_than_promised(self):
        self.alter("permissions/no-uses.json", lambda case: case.update(expect="bad signature"))
        self.assert_differs("permissions", "found ('malformed', None)")

    def test_a_check_that_nobody_knows(self):
        self.alter("text/01-to-patient.json", lambda case: case.update(check="open-otherwise"))
        self.assert_differs("text", "KeyError")

    def test_no_vectors(self):
        shutil.rmtree(self.vectors / "content")
        self.assert_differs("content", "no case that opens")


def flip(holder: dict, name: str, at: int = -1) -> None:
    """The lowest bit of one byte."""
    data = bytearray.fromhex(holder[name])
    data[at] ^= 1
    holder[name] = data.hex()


if __name__ == "__main__":
    unittest.main()
