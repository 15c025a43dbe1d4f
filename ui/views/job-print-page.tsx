/** The report of a job's run, made to be printed: what an MSP hands to its customer. */
import { useEffect } from "preact/hooks";
import type { JobReportDocument } from "../../schema/reports.ts";
import { Button, LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Icon } from "../components/icon.tsx";
import { Loaded } from "../components/loaded.tsx";
import { isFinal } from "../contract.ts";
import {
  formatBytes,
  formatCount,
  formatCountOf,
  formatDateTime,
  formatDuration,
  formatPercent,
  formatSpeed,
  NOTHING,
} from "../format.ts";
import type { App } from "../models/app.ts";
import { createJobPrint, type PrintedReport, sha256Hex } from "../models/job-print.ts";
import { pathOf } from "../models/router.ts";
import { visibleText } from "../plain-text.ts";
import {
  JOB_STATUS_WORDS,
  JOB_TYPE_WORDS,
  jobErrorSentence,
  systemName,
  VERIFICATION_WORDS,
} from "../words.ts";
import { filesOf } from "./job-files.ts";
import { causesOf } from "./job-causes.ts";
import "./job.css";
import {
  leftOutParts,
  noteWords,
  quarantineFolder,
  removalText,
  skippedText,
  stayTexts,
} from "./report-words.ts";
import { saveText } from "./save-text.ts";
import { usePageModel } from "./use-page-model.ts";
import { jobPrintPage as texts } from "../texts/job-report.ts";

export function JobPrintPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createJobPrint(app, id, sha256Hex), id);
  const report = model.report.value;
  const name = report?.document.job.name ?? texts.job;
  useEffect(() => {
    // Browsers name the file after it when the page is printed into one.
    document.title =
      report === null ? texts.report : visibleText(texts.report2(name, report.document.client.name));
  }, [name, report]);
  return (
    <div class="print-page">
      <nav class="print-tools" aria-label={texts.report}>
        <a class="crumb" href={pathOf({ page: "job", id })}>
          <Icon name="back" size={14} />
          <span>{name}</span>
        </a>
        {report !== null && isFinal(report.document.job.status) && <Tools report={report} />}
      </nav>
      <Loaded remote={model.remote.value} onRetry={() => void model.reload()}>
        {(value) =>
          isFinal(value.document.job.status) ? (
            <Paper report={value} />
          ) : (
            <EmptyState
              icon="file"
              title={texts.noReportYet}
              action={<LinkButton href={pathOf({ page: "job", id })}>{texts.toTheJob}</LinkButton>}
            >
              {texts.reportThereWhenJob}
            </EmptyState>
          )
        }
      </Loaded>
    </div>
  );
}

function Tools({ report }: { report: PrintedReport }) {
  const { document: told, text } = report;
  const files = filesOf(told.job.id);
  const isStored = told.manifest !== null && told.manifest.stored !== null;
  return (
    <div class="page-actions">
      <Button look="primary" icon="file" testId="print" onPress={() => print()}>
        {texts.print}
      </Button>
      <Button
        testId="save-json"
        onPress={() => saveText(`report-${told.job.id}-run-${told.job.epoch}.json`, text)}
      >
        {texts.json}
      </Button>
      <a class="button button-plain" href={files.reportCsv} download="" data-testid="report-csv">
        {texts.csv}
      </a>
      {isStored && (
        <>
          <a class="button button-plain" href={files.filesCsv} download="" data-testid="files-csv">
            {texts.allFilesCsv}
          </a>
          <a class="button button-plain" href={files.manifest} download="" data-testid="manifest">
            {texts.manifest}
          </a>
        </>
      )}
    </div>
  );
}

function Paper({ report }: { report: PrintedReport }) {
  const { document: told } = report;
  return (
    <article class="paper" data-testid="paper">
      <Head report={report} />
      <Outcome told={told} />
      <Moved report={report} />
      <Proof told={told} />
      <Failures told={told} />
      <LeftOut report={report} />
      <Removal report={report} />
      <Digests report={report} />
      <Check report={report} />
      <footer class="paper-foot">
        {told.organization.name} · {told.job.id}
        {texts.run}
        {told.job.epoch}
      </footer>
    </article>
  );
}

function Head({ report }: { report: PrintedReport }) {
  const { document: told, timeZone } = report;
  const { client, project, job, agent } = told;
  const at = (iso: string) => formatDateTime(iso, { timeZone });
  return (
    <header class="paper-head">
      <p class="paper-from">{told.organization.name}</p>
      <h1 tabIndex={-1}>
        <FileName name={job.name} />
      </h1>
      <p class="paper-lead">
        {texts.migrationReportFor}
        {client.name}
      </p>
      <Facts
        facts={[
          {
            title: texts.client,
            value: client.contactName === null ? client.name : `${client.name}, ${client.contactName}`,
            testId: "paper-client",
          },
          { title: texts.project, value: project.name, testId: "paper-project" },
          { title: texts.job, value: texts.typeRunAndId(JOB_TYPE_WORDS[job.type], job.epoch, job.id) },
          {
            title: texts.agent,
            value: texts.agentOnMachine(agent.name, agent.host, systemName(agent.os), agent.version),
          },
          {
            title: texts.reportMade,
            value: texts.madeAt(at(told.madeAt), timeZone.replaceAll("_", " ")),
          },
        ]}
      />
    </header>
  );
}

function Outcome({ told }: { told: JobReportDocument }) {
  const { job, totals, error, successRate } = told;
  const words = JOB_STATUS_WORDS[job.status];
  return (
    <section class={`paper-outcome paper-outcome-${words.tone}`} data-testid="paper-outcome">
      <strong>{words.text}</strong>
      <span>
        {formatCountOf(totals.filesCompleted, "file")} ({formatBytes(totals.bytesCompleted)}
        {texts.moved} {formatCount(totals.filesFailed)}
        {texts.notMoved}
        {formatCount(totals.filesSkipped)}
        {texts.skipped}
        {successRate !== null && texts.filesTriedArrived(formatPercent(successRate))}
        {error !== null && ` ${jobErrorSentence(error)}.`}
      </span>
    </section>
  );
}

function Moved({ report }: { report: PrintedReport }) {
  const { document: told, job, timeZone } = report;
  const { totals, times } = told;
  const { account, container, prefix, tier } = told.job.destination;
  const at = (iso: string | null) => (iso === null ? NOTHING : formatDateTime(iso, { timeZone }));
  const { activeMs } = times;
  return (
    <section>
      <h2>{texts.whatWasMoved}</h2>
      <Facts
        facts={[
          { title: texts.from, value: <FileName name={told.job.source} /> },
          {
            title: texts.to,
            value: (
              <FileName
                name={`Azure Blob Storage, account ${account}, container ${container}${prefix === "" ? "" : `, folder ${prefix}`}, ${tier} tier`}
              />
            ),
          },
          {
            title: texts.filesFound,
            value: `${formatCount(totals.filesTotal)} (${formatBytes(totals.bytesTotal)})`,
          },
          {
            title: texts.filesMoved,
            value: texts.filesAndBytes(
              formatCount(totals.filesCompleted),
              formatBytes(totals.bytesCompleted),
              formatCount(totals.bytesCompleted),
            ),
            testId: "paper-moved",
          },
          { title: texts.sent, value: formatBytes(totals.bytesSent) },
          { title: texts.started, value: at(job.report?.startedAt ?? times.startedAt) },
          { title: texts.finished, value: at(job.report?.finishedAt ?? times.finishedAt) },
          {
            title: texts.timeSpent,
            value:
              activeMs === null || activeMs === 0
                ? NOTHING
                : texts.timeAndSpeed(
                    formatDuration(activeMs),
                    formatSpeed((totals.bytesSent * 1_000) / activeMs),
                  ),
          },
        ]}
      />
    </section>
  );
}

function Proof({ told }: { told: JobReportDocument }) {
  const { totals, verification } = told;
  return (
    <section>
      <h2>{texts.howItWasVerified}</h2>
      {verification === null ? (
        <p>{texts.runEndedBeforeAnything}</p>
      ) : (
        <>
          <p data-testid="paper-verified">
            {formatCount(totals.filesVerified)}
            {texts.of}
            {formatCountOf(totals.filesCompleted, "movedFile")} {texts.verified}
            {VERIFICATION_WORDS[verification.level]}.
          </p>
          {totals.filesReadBack > 0 && (
            <p>
              {formatCountOf(totals.filesReadBack, "file")}
              {texts.readBackFromStorage}
            </p>
          )}
        </>
      )}
    </section>
  );
}

function Failures({ told }: { told: JobReportDocument }) {
  const { failures } = told;
  if (failures.total === 0) return null;
  const causes = causesOf(
    failures.groups.flatMap(({ code, files }) => files.map(({ path, message }) => ({ code, path, message }))),
  );
  return (
    <section data-testid="paper-failures">
      <h2>{texts.whatWasNotMoved}</h2>
      {causes.map(({ code, title, failures: files }) => (
        <div key={code} class="paper-cause">
          <h3>
            {title}: {formatCountOf(files.length, "file")}
          </h3>
          <ul class="paper-paths">
            {files.map(({ path }) => (
              <li key={path}>
                <FileName name={path} />
              </li>
            ))}
          </ul>
        </div>
      ))}
      {failures.total > failures.listed && (
        <p>
          {formatCount(failures.total)}
          {texts.filesNotMovedFirst}
          {formatCount(failures.listed)}
          {texts.standHereAllThem}
        </p>
      )}
    </section>
  );
}

function LeftOut({ report }: { report: PrintedReport }) {
  const { document: told, job } = report;
  const notes = noteWords(job.report?.notes ?? []);
  const isNothing =
    told.totals.filesSkipped === 0 && (job.preview === null || leftOutParts(job.preview).length === 0);
  return (
    <section>
      <h2>{texts.whatWasSkipped}</h2>
      <p data-testid="paper-skipped">
        {isNothing ? texts.nothingWasSkipped : `${skippedText(told.totals.filesSkipped, job.preview)}.`}
      </p>
      {notes.map(({ text }) => (
        <p key={text}>{text}</p>
      ))}
    </section>
  );
}

function Removal({ report }: { report: PrintedReport }) {
  const { document: told, job } = report;
  const { removal } = told;
  const { deletion } = job.config.options;
  if (!removal || deletion === null) return null;
  const folder = quarantineFolder(removal, { id: job.id, sourcePath: told.job.source });
  return (
    <section>
      <h2>{texts.whatBecameSourceFiles}</h2>
      <p>{removalText(removal, deletion)}.</p>
      {folder !== null && (
        <p>
          {texts.quarantine}
          <FileName name={folder} />
        </p>
      )}
      <ul>
        {stayTexts(removal.stays).map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </section>
  );
}

function Digests({ report }: { report: PrintedReport }) {
  const { document: told, sha256 } = report;
  return (
    <section>
      <h2>{texts.digestsSha256}</h2>
      <Facts
        facts={[
          {
            title: texts.listOfAllFiles,
            value:
              told.manifest === null ? (
                texts.thereNoneRun
              ) : (
                <>
                  <code class="digest" data-testid="paper-manifest">
                    {told.manifest.sha256}
                  </code>
                  <br />
                  {formatCountOf(told.manifest.rows, "line")}
                </>
              ),
          },
          {
            title: texts.thisReportsData,
            value:
              sha256 === null ? (
                texts.browserComputesNonePage
              ) : (
                <code class="digest" data-testid="paper-digest">
                  {sha256}
                </code>
              ),
          },
        ]}
      />
    </section>
  );
}

function Check({ report }: { report: PrintedReport }) {
  const { document: told, sha256 } = report;
  if (told.manifest === null && sha256 === null) return null;
  return (
    <section data-testid="paper-check">
      <h2>{texts.howCheckYourself}</h2>
      <ol>
        {told.manifest !== null && (
          <>
            <li>
              {texts.takeManifestAlongFrom}
              <code>gunzip -c manifest-*.jsonl.gz | shasum -a 256</code>
              {texts.windowsUnpackAnyTool}
              <code>Get-FileHash</code>
              {texts.onTheUnpackedFile}
            </li>
            <li>{texts.eachLinesOneFile}</li>
            <li>
              {texts.chooseAnyFileDownload}
              <code>shasum -a 256 FILE</code>
              {texts.or}
              <code>{texts.getFilehashFile}</code>
              {texts.originalSourceGivesSame}
            </li>
          </>
        )}
        {sha256 !== null && <li>{texts.saveReportsDataButton}</li>}
      </ol>
    </section>
  );
}
