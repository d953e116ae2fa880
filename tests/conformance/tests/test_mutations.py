"""The suite itself: the toy server passes every case, and each way to make it wrong fails the cases that are about it."""

import concurrent.futures
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from mutations import MUTATIONS  # noqa: E402
from pop3conformance.registry import all_cases  # noqa: E402
from pop3conformance.report import describe, score, to_json, to_junit  # noqa: E402
from pop3conformance.runner import FAIL, PASS, SKIP, Runner  # noqa: E402
from pop3conformance.target import Target  # noqa: E402
from pop3conformance.wire import Failed  # noqa: E402
from toy_server import ToyServer  # noqa: E402

CASES = {case.id: case for case in all_cases()}
# Cases that last too long for a toy to be tried in all its ways: ten minutes of silence.
SLOW = {case.id for case in CASES.values() if case.slow}
# How the toy is set up, for what not every server has: the cases that only then can be tried.
VARIANTS = {
    "": {},
    "external: ": {"external": True},
    "delay: ": {"delay": 1},
    "no APOP: ": {"apop": False},
    "TLS only: ": {"tls_only": True},
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    home = tmp_path_factory.mktemp("certificate")
    files = str(home / "certificate.pem"), str(home / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost", "-keyout", files[1], "-out", files[0]], check=True, capture_output=True)
    return files


def try_toy(certificate, mutation, cases, timeout, **options):
    """{id: result} of these cases against a toy with this mutation."""
    if options.pop("external", False):
        options["external"] = certificate
    toy = ToyServer(certificate, mutation, **options)
    try:
        results = Runner(Target(toy.target()), timeout=timeout, limit=20, jobs=3).run(cases)
    finally:
        toy.stop()
    return {result.case.id: result for result in results}


@pytest.fixture(scope="module")
def right(certificate):
    """{variant: {id: result}} of servers that do all as they should."""
    def cases(variant):  # where every login waits for the last one, only what is about that
        return [case for case in CASES.values() if not case.slow and (variant != "delay: " or case.section == "6.5")]

    return {variant: try_toy(certificate, None, cases(variant), 20, **VARIANTS[variant]) for variant in VARIANTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_right_server_fails_no_case(right, variant):
    failed = [describe(result) for result in right[variant].values() if result.status == FAIL]
    assert not failed, "\n\n".join(failed)


def test_each_case_passes_with_some_right_server(right):
    """Else a case could be one that is always skipped."""
    passed = {name for results in right.values() for name, result in results.items() if result.status == PASS}
    assert passed == set(CASES) - SLOW, f"never passed: {sorted(set(CASES) - SLOW - passed)}"


@pytest.fixture(scope="module")
def mutants(certificate):
    """{mutation: {id: result}}, several toys at a time: most of their time is waiting."""
    def run(mutation):
        variant = next((prefix for prefix in VARIANTS if prefix and mutation.startswith(prefix)), "")
        cases = [CASES[name] for name in MUTATIONS[mutation].split()]
        try:
            found = {}
            for _ in range(3):  # what a busy machine makes of races is not the point here
                left = [case for case in cases if case.id not in found or found[case.id].status != FAIL]
                if left:
                    found.update(try_toy(certificate, mutation[len(variant):], left, 2, **VARIANTS[variant]))
            return found
        except Failed as failed:
            return {name: failed for name in MUTATIONS[mutation].split()}

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return dict(zip(MUTATIONS, pool.map(run, MUTATIONS)))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_server_fails_the_cases_about_it(mutants, mutation):
    other = {name: getattr(result, "status", result) for name, result in mutants[mutation].items()
             if getattr(result, "status", None) != FAIL}
    assert not other, f"{mutation}: must fail, but: {other}"


def test_each_case_fails_for_some_wrong_server():
    failing = {name for names in MUTATIONS.values() for name in names.split()}
    assert failing <= set(CASES), f"no such case: {sorted(failing - set(CASES))}"
    assert failing == set(CASES) - SLOW, f"never made to fail: {sorted(set(CASES) - SLOW - failing)}"


def test_each_case_names_its_text():
    for case in CASES.values():
        assert case.quote and case.title and case.section, case.id
        assert case.id.endswith(case.id.rpartition("-")[2]) and case.id.rpartition("-")[2].isdigit(), case.id


def test_reports_hold_every_case_and_the_octets_of_failures(certificate):
    import json
    import xml.etree.ElementTree
    cases = [CASES[name] for name in ("RFC1939-5-001", "RFC1939-5-008", "RFC1939-3-050")]
    results = list(try_toy(certificate, "STAT in one number", cases, 5).values())
    target = Target({"host": "h", "port": 1, "accounts": [{"name": "n", "password": "p"}]})
    assert score(results)["MUST"][0] == 0 and score(results)["skipped"] == 1
    data = json.loads(to_json(target, results, 1))
    assert [case["status"] for case in data["cases"]] == [FAIL, FAIL, SKIP]
    assert any("STAT" in line for line in data["cases"][0]["transcript"])
    suites = xml.etree.ElementTree.fromstring(to_junit(target, results, 1))
    assert len(suites.findall(".//testcase")) == 3 and len(suites.findall(".//failure")) == 2


def test_the_program_lists_and_refuses(tmp_path):
    program = HERE.parent / "poplar-pop3-conformance"

    def run(*arguments):
        return subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True, timeout=60)

    listed = run("--list", "--only", "RFC1939-5-*")
    assert listed.returncode == 0 and "RFC1939-5-001" in listed.stdout and "RFC1939-6-001" not in listed.stdout
    assert run("--only", "RFC1-*", "--host", "127.0.0.1", "--port", "1", "--account", "a:b").returncode == 2
    assert run("--host", "127.0.0.1", "--port", "1").returncode == 2, "no accounts"
    dead = run("--host", "127.0.0.1", "--port", "1", "--account", "a:b")
    assert dead.returncode == 2 and "can't connect" in dead.stderr


def test_the_program_runs_against_a_server(certificate, tmp_path):
    toy = ToyServer(certificate)
    program = HERE.parent / "poplar-pop3-conformance"
    try:
        done = subprocess.run(
            [sys.executable, str(program), "--host", "127.0.0.1", "--port", str(toy.port), "--tls-port", str(toy.tls_port), "--account",
             "user1@example.test:secret-1", "--only", "RFC1939-3-0*", "--json", str(tmp_path / "out.json")],
            capture_output=True, text=True, timeout=120)
    finally:
        toy.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MUST" in done.stdout and (tmp_path / "out.json").exists()
