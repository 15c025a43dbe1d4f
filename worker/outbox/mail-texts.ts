/** What mails say, as text and as HTML. Names are what people typed: they are cleaned of what acts on a screen, and escaped. */
import { html } from "hono/html";
import type { ReportedEnd } from "../../durable-objects/happenings.ts";
import { successRateOf, VERIFICATION_WORDS } from "../../schema/reports.ts";
import type { Mail } from "./mail.ts";

const NAME_LENGTH_MAX = 120;
const SENTENCE_LENGTH_MAX = 500;
const GIGABYTE = 1_000_000_000;

interface Line {
  readonly name: string;
  readonly value: string;
}

interface Letter {
  readonly to: string;
  readonly greetingName: string;
  readonly subject: string;
  readonly sentence: string;
  readonly lines: readonly Line[];
  readonly link: { readonly words: string; readonly url: string };
}

export async function jobEndedMail(job: {
  readonly to: string;
  readonly personName: string;
  readonly jobName: string;
  readonly projectName: string;
  readonly clientName: string;
  readonly agentName: string;
  readonly outcome: "completed" | "failed";
  readonly end: ReportedEnd;
  readonly url: string;
}): Promise<Mail> {
  const name = plain(job.jobName);
  const { error, totals } = job.end;
  const failed = totals.filesFailed;
  return await write({
    to: job.to,
    greetingName: plain(job.personName),
    subject:
      job.outcome === "failed"
        ? `Job failed: ${name}`
        : failed > 0
          ? `Job completed, ${count(failed)} ${failed === 1 ? "file" : "files"} failed: ${name}`
          : `Job completed: ${name}`,
    sentence:
      job.outcome === "failed"
        ? `Your job "${name}" has failed${error === null ? "" : `: ${plain(error.message, SENTENCE_LENGTH_MAX)} (${plain(error.code)})`}.`
        : `Your job "${name}" has completed.`,
    lines: [
      { name: "Client", value: plain(job.clientName) },
      { name: "Project", value: plain(job.projectName) },
      { name: "Agent", value: plain(job.agentName) },
      ...linesOf(job.end),
    ],
    link: { words: "Open the job and its report", url: job.url },
  });
}

function linesOf({ totals, activeMs, verification }: ReportedEnd): Line[] {
  const rate = successRateOf(totals);
  return [
    { name: "Files moved", value: count(totals.filesCompleted) },
    { name: "Files failed", value: count(totals.filesFailed) },
    { name: "Files skipped", value: count(totals.filesSkipped) },
    { name: "Transferred", value: gigabytes(totals.bytesSent) },
    // Cut and not rounded: 100 % is said only where nothing failed.
    ...(rate === null
      ? []
      : [{ name: "Success rate", value: `${(Math.floor(rate * 10_000) / 100).toFixed(2)} %` }]),
    { name: "Working time", value: duration(activeMs) },
    { name: "Verification", value: VERIFICATION_WORDS[verification] },
  ];
}

export async function connectionLapsesMail(connection: {
  readonly to: string;
  readonly personName: string;
  readonly name: string;
  readonly account: string;
  readonly kind: "oauth" | "container_sas" | "connection_string";
  readonly lapsesAtMs: number;
  readonly url: string;
}): Promise<Mail> {
  const name = plain(connection.name);
  const day = new Date(connection.lapsesAtMs).toISOString().slice(0, 10);
  const why =
    connection.kind === "oauth"
      ? "Microsoft ends a sign-in that was not used for 90 days. Reconnect it, or run a job with it"
      : "Its shared access signature ends then. Make a new one and connect the container again";
  return await write({
    to: connection.to,
    greetingName: plain(connection.personName),
    subject: `Azure connection lapses on ${day}: ${name}`,
    sentence: `The Azure Storage connection "${name}" lapses on ${day}. ${why}; until then jobs go on as before.`,
    lines: [{ name: "Storage account", value: plain(connection.account) }],
    link: { words: "Open the settings", url: connection.url },
  });
}

async function write({ to, greetingName, subject, sentence, lines, link }: Letter): Promise<Mail> {
  const text = [
    `Hello ${greetingName},`,
    "",
    sentence,
    "",
    ...lines.map(({ name, value }) => `${name}: ${value}`),
    "",
    `${link.words}: ${link.url}`,
    "",
    "The One Migrate",
    "",
  ].join("\n");
  const rows = lines.map(
    ({ name, value }) =>
      html`<tr>
        <td style="padding:2px 16px 2px 0;color:#5c6670">${name}</td>
        <td style="padding:2px 0">${value}</td>
      </tr>`,
  );
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${subject}</title>
      </head>
      <body style="font:15px/1.5 system-ui,sans-serif;color:#14171a">
        <p>Hello ${greetingName},</p>
        <p>${sentence}</p>
        <table cellspacing="0" cellpadding="0">
          ${rows}
        </table>
        <p><a href="${link.url}">${link.words}</a></p>
        <p style="color:#5c6670">The One Migrate</p>
      </body>
    </html>`;
  return { to, subject, text, html: String(page) };
}

/** One line without what acts on a screen (controls, direction marks), and no longer than a line. */
export function plain(text: string, lengthMax: number = NAME_LENGTH_MAX): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return line.length <= lengthMax ? line : `${line.slice(0, lengthMax)}…`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}

function gigabytes(bytes: number): string {
  const digits = bytes < GIGABYTE ? 3 : 2;
  return `${(bytes / GIGABYTE).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })} GB`;
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
