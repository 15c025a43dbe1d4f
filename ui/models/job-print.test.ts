import { expect, test } from "vitest";
import { createTestApi, jobWith } from "../test-world.ts";
import { createJobPrint, sha256Hex } from "./job-print.ts";

const DOCUMENT = { kind: "job_report", job: { name: "Fotos – März" }, totals: { bytesSent: 1e21 } };

async function setUp(schedule: { timeZone: string } | null) {
  const { config } = jobWith();
  const job = jobWith({
    config: {
      ...config,
      schedule: schedule && { ...schedule, windows: [], insideMbps: null, outsideMbps: 5 },
    },
  });
  const { api } = createTestApi(({ path }) => ({ body: path.endsWith("/report.json") ? DOCUMENT : job }));
  const print = createJobPrint({ api, timeZone: "Europe/Berlin" }, "job_1", sha256Hex);
  await print.reload();
  return print;
}

test("[U72] the digest on paper is that of the document as it came, to the byte", async () => {
  const { report } = await setUp(null);
  expect(report.value?.text).toBe(JSON.stringify(DOCUMENT));
  expect(report.value?.document.job.name).toBe("Fotos – März");
  expect(report.value?.sha256).toBe(await sha256Hex(JSON.stringify(DOCUMENT)));
  // The first example of FIPS 180.
  expect(await sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("[U72] times stand in the site's zone where the job has one, else in the reader's", async () => {
  expect((await setUp({ timeZone: "America/New_York" })).report.value?.timeZone).toBe("America/New_York");
  expect((await setUp(null)).report.value?.timeZone).toBe("Europe/Berlin");
});
