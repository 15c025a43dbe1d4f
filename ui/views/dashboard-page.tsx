import "./home.css";
import type { MovedTotals, Overview } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Icon } from "../components/icon.tsx";
import { Loaded } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatBytes, formatCount, formatMoment } from "../format.ts";
import type { App } from "../models/app.ts";
import { beginOfToday, createDashboard, type SetupState, type SetupStep } from "../models/dashboard.ts";
import type { JobRow } from "../models/jobs.ts";
import { pathOf, type Route } from "../models/router.ts";
import type { Rights } from "../models/session.ts";
import { JOB_STATUS_WORDS } from "../words.ts";
import { bytesText, JobBar, paceText, progressText } from "./job-progress.tsx";
import { JobTable } from "./job-table.tsx";
import { usePageModel } from "./use-page-model.ts";
import { dashboardPage as texts } from "../texts/dashboard.ts";

/** Enough to see what happened lately; the rest is under Jobs. */
const ENDED_SHOWN = 5;

export function DashboardPage({ app }: { app: App }) {
  const model = usePageModel(() => createDashboard(app));
  const rights = app.session.rights.value;
  const setup = model.setup.value;
  const overview = model.overview.value.value;
  const isSetUp = setup.length > 0 && setup.every((state) => state.done);
  const ended = model.ended.rows.value.slice(0, ENDED_SHOWN);
  return (
    <Page title={texts.dashboard} actions={isSetUp && rights.write && <NewJobButton />}>
      {!isSetUp && (
        <Loaded remote={model.overview.remote.value} onRetry={() => void model.overview.reload()}>
          {() => <SetupCard app={app} setup={setup} rights={rights} />}
        </Loaded>
      )}
      <Card title={texts.activeJobs} testId="active-jobs" flush>
        <Loaded remote={model.active.list.remote.value} onRetry={() => void model.active.list.reload()}>
          {() =>
            model.active.rows.value.length === 0 ? (
              <NothingActive
                isSetUp={isSetUp}
                isNew={(overview?.jobs.completed ?? 0) === 0}
                rights={rights}
              />
            ) : (
              <ul class="active-jobs">
                {model.active.rows.value.map((row) => (
                  <ActiveJob key={row.job.id} row={row} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
      {isSetUp && (
        <Loaded remote={model.overview.remote.value} onRetry={() => void model.overview.reload()}>
          {(value) => <TotalsCard app={app} overview={value} />}
        </Loaded>
      )}
      {ended.length > 0 && (
        <Card
          title={texts.recentlyFinished}
          flush
          actions={<a href="/jobs?state=final">{texts.allFinishedJobs}</a>}
        >
          <JobTable rows={ended} nowMs={app.nowMs.value} within="organization" />
        </Card>
      )}
    </Page>
  );
}

function NothingActive({ isSetUp, isNew, rights }: { isSetUp: boolean; isNew: boolean; rights: Rights }) {
  if (!isSetUp) {
    return (
      <EmptyState icon="job" title={texts.nothingIsRunning}>
        {texts.finishSetUpAbove}
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon="job"
      title={texts.nothingIsRunning}
      action={isNew && rights.write ? <NewJobButton /> : undefined}
    >
      {isNew && rights.write ? texts.everythingSetUpCreate : texts.jobsAppearHereAs}
    </EmptyState>
  );
}

function NewJobButton() {
  return (
    <LinkButton look="primary" icon="plus" href="/jobs/new" testId="new-job">
      {texts.newJob}
    </LinkButton>
  );
}

const SETUP_WORDS: Readonly<
  Record<
    Exclude<SetupStep, "organization">,
    { title: string; text: string; action: string; route: Route; needs: keyof Rights }
  >
> = {
  agent: {
    title: texts.registerAnAgent,
    text: texts.oneProgramMachineCan,
    action: texts.registerAgent,
    route: { page: "agent-register" },
    needs: "administer",
  },
  storage: {
    title: texts.connectAzureStorage,
    text: texts.accountFilesMoved,
    action: texts.connectStorage,
    route: { page: "connection-new" },
    needs: "administer",
  },
  client: {
    title: texts.createAClient,
    text: texts.companyWhoseFilesMoved,
    action: texts.newClient,
    route: { page: "client-new" },
    needs: "write",
  },
  project: {
    title: texts.createAProject,
    text: texts.oneEngagementClientPlace,
    action: texts.newProject,
    route: { page: "project-new", clientId: null },
    needs: "write",
  },
};

function SetupCard({ app, setup, rights }: { app: App; setup: readonly SetupState[]; rights: Rights }) {
  const next = setup.find((state) => !state.done)?.step;
  const doneCount = setup.filter((state) => state.done).length;
  return (
    <Card
      title={texts.setUpMigrate}
      testId="setup"
      actions={<span class="muted">{texts.ofDone(doneCount, setup.length)}</span>}
    >
      <ol class="setup">
        {setup.map(({ step, done }, index) => (
          <li
            key={step}
            class={done ? "step step-done" : step === next ? "step step-next" : "step"}
            data-testid={`setup-${step}`}
          >
            <span class="step-mark">{done ? <Icon name="check" size={14} /> : index + 1}</span>
            {step === "organization" ? (
              <OrganizationStep app={app} />
            ) : (
              <Step step={step} done={done} isNext={step === next} rights={rights} />
            )}
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** Without it nobody would be here. */
function OrganizationStep({ app }: { app: App }) {
  const current = app.session.current.value;
  return (
    <span class="step-words">
      <strong>{texts.yourOrganizationHubHas}</strong>
      <span class="muted">
        {current.state === "signed_in" ? current.session.organization.name : texts.done}
      </span>
    </span>
  );
}

function Step(props: {
  step: Exclude<SetupStep, "organization">;
  done: boolean;
  isNext: boolean;
  rights: Rights;
}) {
  const words = SETUP_WORDS[props.step];
  return (
    <>
      <span class="step-words">
        <strong>{words.title}</strong>
        <span class="muted">{props.done ? texts.done : words.text}</span>
      </span>
      {!props.done &&
        (props.rights[words.needs] ? (
          <LinkButton look={props.isNext ? "primary" : "plain"} href={pathOf(words.route)}>
            {words.action}
          </LinkButton>
        ) : (
          <span class="muted">
            {words.needs === "administer" ? texts.anAdminDoesThis : texts.aMemberDoesThis}
          </span>
        ))}
    </>
  );
}

function TotalsCard({ app, overview }: { app: App; overview: Overview }) {
  const { agents, jobs } = overview;
  const all: MovedTotals = {
    // A day's bytes are counted when they are sent, all of them when they are proved: the whole is never less than a part.
    bytes: Math.max(overview.bytesCompleted, overview.week.bytes),
    files: Math.max(overview.filesCompleted, overview.week.files),
    jobsCompleted: jobs.completed,
    jobsFailed: jobs.failed,
  };
  return (
    <Card title={texts.totals} testId="totals">
      <Figures
        figures={[
          {
            title: texts.agentsOnline,
            value: <a href="/agents">{texts.of(formatCount(agents.online), formatCount(agents.total))}</a>,
            testId: "total-agents",
          },
          {
            title: texts.activeJobs,
            value: <a href="/jobs?state=active">{formatCount(jobs.active)}</a>,
            testId: "total-active",
          },
        ]}
      />
      <table class="moved">
        <thead>
          <tr>
            <th scope="col">
              <span class="unseen">{texts.what}</span>
            </th>
            <th scope="col">{texts.today}</th>
            <th scope="col">{texts.n7Days}</th>
            <th scope="col">{texts.inAll}</th>
          </tr>
        </thead>
        <tbody>
          {MOVED_ROWS.map(({ title, testId, show }) => (
            <tr key={testId} data-testid={`moved-${testId}`}>
              <th scope="row">{title}</th>
              <td data-testid={`today-${testId}`}>{show(overview.today)}</td>
              <td data-testid={`week-${testId}`}>{show(overview.week)}</td>
              <td data-testid={`total-${testId}`}>{show(all)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <DayNote app={app} />
    </Card>
  );
}

const MOVED_ROWS: readonly { title: string; testId: string; show: (moved: MovedTotals) => string }[] = [
  { title: texts.data, testId: "bytes", show: ({ bytes }) => formatBytes(bytes) },
  { title: texts.files, testId: "files", show: ({ files }) => formatCount(files) },
  {
    title: texts.jobsCompleted,
    testId: "completed",
    show: ({ jobsCompleted }) => formatCount(jobsCompleted),
  },
  { title: texts.jobsFailed, testId: "failed", show: ({ jobsFailed }) => formatCount(jobsFailed) },
];

/** Where the reader's day is that of UTC there is nothing to say. */
function DayNote({ app }: { app: App }) {
  const nowMs = app.nowMs.value;
  const beganMs = beginOfToday(nowMs, app.timeZone);
  const isMidnight = new Date(beganMs).getHours() === 0;
  if (isMidnight) return null;
  return <p class="moved-note">{texts.daysCountedUtcAs(formatMoment(beganMs, nowMs))}</p>;
}

function ActiveJob({ row: { job, figures } }: { row: JobRow }) {
  return (
    <li class="active-job" data-id={job.id}>
      <div class="active-job-head">
        <span class="active-job-name">
          <a class="row-link" href={pathOf({ page: "job", id: job.id })}>
            <FileName name={job.name} />
          </a>
          <span class="under">
            {job.clientName} · {job.agentName}
          </span>
        </span>
        <Badge words={JOB_STATUS_WORDS[figures.status]} />
      </div>
      <JobBar figures={figures} name={job.name} />
      <div class="active-job-foot numbers">
        <strong>{progressText(figures)}</strong>
        <span class="muted">{bytesText(figures)}</span>
        <span class="muted active-job-pace">{paceText(figures)}</span>
      </div>
    </li>
  );
}
