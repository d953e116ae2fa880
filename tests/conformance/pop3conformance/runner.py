"""Runs cases at the same time, each with an account of its own."""

import dataclasses
import queue
import ssl
import threading
import time
import traceback

from .context import Context, probe
from .wire import Failed, Skipped

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


@dataclasses.dataclass
class Result:
    case: object
    status: str
    reason: str = ""
    seconds: float = 0.0
    transcript: list = dataclasses.field(default_factory=list)


class Runner:
    """timeout: seconds of silence that fail a case. limit: seconds a case may take, slow ones excepted."""

    def __init__(self, target, timeout=8, limit=40, jobs=None, slow=False, on_result=None):
        self.target, self.timeout, self.limit, self.slow = target, timeout, limit, slow
        self.jobs = min(jobs or 6, len(target.accounts))
        self.on_result = on_result or (lambda result: None)
        self.facts = None

    def run(self, cases):
        """The results in the order of the cases. Failed if nobody can log in at all."""
        self.facts = probe(self.target, self.timeout)
        todo, results, lock = queue.Queue(), {}, threading.Lock()
        for case in sorted(cases, key=lambda case: not case.slow):  # the slow ones first: they set the end
            todo.put(case)

        def work(account):
            while True:
                try:
                    case = todo.get_nowait()
                except queue.Empty:
                    return
                result = self.run_case(case, account)
                with lock:
                    results[case.id] = result
                    self.on_result(result)

        threads = [threading.Thread(target=work, args=(account,)) for account in self.target.accounts[:self.jobs]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [results[case.id] for case in cases]

    def run_case(self, case, account):
        if case.slow and not self.slow:
            return Result(case, SKIP, "takes minutes: --slow")
        context = Context(self.target, self.facts, account, self.timeout, 1200 if case.slow else self.limit)
        begun = time.monotonic()
        try:
            case.run(context)
            status, reason = PASS, ""
        except Skipped as skipped:
            status, reason = SKIP, str(skipped)
        except Failed as failed:
            status, reason = FAIL, str(failed)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            status, reason = FAIL, f"{type(error).__name__}: {error}"
        except Exception:  # the case met a reply that it can't read, or is wrong itself
            status, reason = FAIL, "the case broke:\n" + traceback.format_exc()
        transcript = context.transcript.lines() if status == FAIL else []
        if status == FAIL and not transcript:
            transcript = context.hidden.lines()
        if status == FAIL:
            account.content = None
            for special in context.leased:
                special.content = None
        context.end()
        return Result(case, status, reason, time.monotonic() - begun, transcript)
