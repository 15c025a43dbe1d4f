import { expect, test } from "vitest";
import { ZERO_TOTALS } from "../../schema/job.ts";
import type { LiveJob } from "../../schema/live.ts";
import { ProgressLine } from "./progress-line.ts";

const RUNNING: LiveJob = {
  jobId: "job_01kaqt4h2r5t8y1p3s6v9b2n4m",
  agentId: "agt_01kaqt4h2r5t8y1p3s6v9b2n4m",
  epoch: 1,
  status: "running",
  desiredState: "run",
  totals: {
    ...ZERO_TOTALS,
    filesTotal: 10,
    filesCompleted: 4,
    bytesTotal: 2_000_000,
    bytesCompleted: 900_000,
  },
  bytesInFlight: 100_000,
  bytesPerSecond: 1_250_000,
  secondsRemaining: 0.8,
  currentPath: null,
  error: null,
  agentOnline: true,
  updatedAt: "2026-11-22T10:00:00.000Z",
};

class Output {
  text = "";
  readonly columns = 60;
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.text += text;
  }
}

test("[K10] in a terminal one line is written over, no wider than the terminal", () => {
  const output = new Output(true);
  const line = new ProgressLine(output);
  line.show(RUNNING);
  line.show({ ...RUNNING, bytesInFlight: 300_000 });
  line.end();
  const shown = output.text.split("\r").slice(1);
  expect(shown).toHaveLength(2);
  expect(shown[0]).toContain("50 %  4/10 files  1.0 MB of 2.0 MB  10.0 Mbps");
  expect(shown[1]).toContain("60 %");
  expect(output.text.match(/\n/g)).toHaveLength(1);
  for (const one of shown) expect(one.replace(/\u001b\[2K|\n/g, "").length).toBeLessThan(60);
});

test("[K10] elsewhere there are plain lines, one for each state and not one for each message", () => {
  const output = new Output(false);
  const line = new ProgressLine(output);
  line.show({ ...RUNNING, status: "scanning" });
  line.show(RUNNING);
  line.show({ ...RUNNING, bytesInFlight: 200_000 });
  line.show({ ...RUNNING, status: "completed" });
  line.end();
  expect(
    output.text
      .trimEnd()
      .split("\n")
      .map((one) => one.split(" ")[0]),
  ).toEqual(["scanning", "running", "completed"]);
  expect(output.text).not.toMatch(/\r|\u001b/);
});
