import { expect, test } from "vitest";
import type { ReportedEnd } from "../../durable-objects/happenings.ts";
import { ZERO_TOTALS } from "../../schema/job.ts";
import { connectionLapsesMail, jobEndedMail, plain } from "./mail-texts.ts";

const HOSTILE = '<script>alert(1)</script>"\r\nBcc: all@example.com\n\u202egpj.exe\u0000\u001b[31m';
const END: ReportedEnd = {
  totals: {
    ...ZERO_TOTALS,
    filesTotal: 20_000,
    filesCompleted: 19_999,
    filesFailed: 1,
    filesSkipped: 0,
    bytesSent: 1_234_000_000,
  },
  activeMs: 3_723_000,
  verification: "chain",
  error: null,
};
const JOB = {
  to: "olivia@example.com",
  personName: "Olivia",
  jobName: "First pass",
  projectName: "Files",
  clientName: "Acme",
  agentName: "fs01",
  outcome: "completed" as const,
  end: END,
  url: "https://app.example.com/jobs/1",
};

test("[O15] a mail about a job says what became of it, in numbers that do not flatter", async () => {
  const { subject, text, html } = await jobEndedMail(JOB);
  expect(subject).toBe("Job completed, 1 file failed: First pass");
  for (const line of [
    "Files moved: 19,999",
    "Files failed: 1",
    "Transferred: 1.23 GB",
    // Not 100.00 %.
    "Success rate: 99.99 %",
    "Working time: 1 h 2 min",
    "https://app.example.com/jobs/1",
  ])
    expect(text).toContain(line);
  expect(html).toContain("19,999");
});

test("[O15] a mail about a failure says why, in the words of the report", async () => {
  const error = { code: "SOURCE_NOT_FOUND" as const, message: 'Cannot list "/srv": it is not there' };
  const { subject, text } = await jobEndedMail({ ...JOB, outcome: "failed", end: { ...END, error } });
  expect(subject).toBe("Job failed: First pass");
  expect(text).toContain('Cannot list "/srv": it is not there (SOURCE_NOT_FOUND)');
});

test("[O15] names neither write headers nor markup, nor turn a line around", async () => {
  const hostile = {
    jobName: HOSTILE,
    projectName: HOSTILE,
    clientName: HOSTILE,
    agentName: HOSTILE,
    personName: HOSTILE,
  };
  const error = { code: "SOURCE_NOT_FOUND" as const, message: HOSTILE };
  const mails = [
    await jobEndedMail({ ...JOB, ...hostile, outcome: "failed", end: { ...END, error } }),
    await jobEndedMail({ ...JOB, ...hostile }),
    await connectionLapsesMail({
      to: "olivia@example.com",
      personName: HOSTILE,
      name: HOSTILE,
      account: HOSTILE,
      kind: "oauth",
      lapsesAtMs: Date.UTC(2026, 11, 1),
      url: "https://app.example.com/settings",
    }),
  ];
  for (const { subject, text, html } of mails) {
    expect(subject).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text).not.toMatch(/^Bcc:/m);
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(html).not.toContain("<script>");
    expect(html).toContain("&lt;script&gt;");
  }
});

test("[O15] a name as long as a book leaves a mail short", async () => {
  const { subject, text } = await jobEndedMail({ ...JOB, jobName: "x".repeat(100_000) });
  expect(subject.length).toBeLessThan(250);
  expect(text.length).toBeLessThan(2_000);
  expect(plain(" a\n\tb\u2028c ")).toBe("a b c");
});

test("[O15] a warning of a lapse says when, why, and what to do", async () => {
  const mail = await connectionLapsesMail({
    to: "olivia@example.com",
    personName: "Olivia",
    name: "Archive",
    account: "acmefiles",
    kind: "container_sas",
    lapsesAtMs: Date.UTC(2026, 11, 1, 5),
    url: "https://app.example.com/settings",
  });
  expect(mail.subject).toBe("Azure connection lapses on 2026-12-01: Archive");
  expect(mail.text).toContain("Make a new one and connect the container again");
  expect(mail.text).toContain("acmefiles");
});
