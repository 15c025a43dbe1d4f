import { expect, test } from "vitest";
import { countJunit, countVitest, settle } from "./run-tests.ts";

test("[D2] a runner that crashed, said nothing or ran nothing is a failure", () => {
  expect(settle(0, null).failed).toBe(1);
  expect(settle(0, { passed: 0, failed: 0, skipped: 4 }).failed).toBe(1);
  expect(settle(1, { passed: 9, failed: 0, skipped: 0 }).failed).toBe(1);
  expect(settle(1, { passed: 9, failed: 2, skipped: 0 }).failed).toBe(2);
  expect(settle(0, { passed: 9, failed: 0, skipped: 1 })).toEqual({ passed: 9, failed: 0, skipped: 1 });
});

test("[D2] a test file that fails before its first test is counted as failed", () => {
  const report = {
    numPassedTests: 3,
    numFailedTests: 1,
    numPendingTests: 1,
    numTodoTests: 0,
    testResults: [
      { status: "failed", assertionResults: [] },
      { status: "failed", assertionResults: [{}] },
      { status: "passed", assertionResults: [{}] },
    ],
  };
  expect(countVitest(JSON.stringify(report))).toEqual({ passed: 3, failed: 2, skipped: 1 });
});

test("[D2] Deno's report is counted case by case", () => {
  const xml = `<testsuite><testcase name="a"/><testcase name="b"><failure>no</failure></testcase>
    <testcase name="c"><skipped/></testcase><testcase name="d"></testcase></testsuite>`;
  expect(countJunit(xml)).toEqual({ passed: 2, failed: 1, skipped: 1 });
});
