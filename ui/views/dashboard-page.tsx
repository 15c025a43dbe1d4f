import type { Overview } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Icon } from "../components/icon.tsx";
import { Loaded } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatBytes, formatCount } from "../format.ts";
import type { App } from "../models/app.ts";
import { createDashboard, type SetupState, type SetupStep } from "../models/dashboard.ts";
import type { JobRow } from "../models/jobs.ts";
import { pathOf, type Route } from "../models/router.ts";
import type { Rights } from "../models/session.ts";
import { JOB_STATUS_WORDS } from "../words.ts";
import { bytesText, JobBar, paceText, progressText } from "./job-progress.tsx";
import { JobTable } from "./job-table.tsx";
import { usePageModel } from "./use-page-model.ts";

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
    <Page title="Dashboard" actions={isSetUp && rights.write && <NewJobButton />}>
      <Loaded remote={model.overview.remote.value} onRetry={() => void model.overview.reload()}>
        {(value) => (
          <>
            {!isSetUp && <SetupCard setup={setup} rights={rights} />}
            {isSetUp && <TotalsCard overview={value} />}
          </>
        )}
      </Loaded>
      <Card title="Active jobs" testId="active-jobs" flush>
        <Loaded remote={model.active.list.remote.value} onRetry={() => void model.active.list.reload()}>
          {() =>
            model.active.rows.value.length === 0 ? (
              <EmptyState
                icon="job"
                title="Nothing is running"
                action={
                  isSetUp && rights.write && (overview?.jobs.completed ?? 0) === 0 ? (
                    <NewJobButton />
                  ) : undefined
                }
              >
                {isSetUp
                  ? "Jobs appear here as soon as they are created, with their progress."
                  : "Finish the set-up above, then create the first job."}
              </EmptyState>
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
      {ended.length > 0 && (
        <Card title="Recently finished" flush actions={<a href="/jobs?state=final">All finished jobs</a>}>
          <JobTable rows={ended} nowMs={app.nowMs.value} within="organization" />
        </Card>
      )}
    </Page>
  );
}

function NewJobButton() {
  return (
    <LinkButton look="primary" icon="plus" href="/jobs/new" testId="new-job">
      New job
    </LinkButton>
  );
}

const SETUP_WORDS: Readonly<
  Record<SetupStep, { title: string; text: string; action: string; route: Route; needs: keyof Rights }>
> = {
  agent: {
    title: "Register an agent",
    text: "One program on a machine that can read the files.",
    action: "Register agent",
    route: { page: "agent-register" },
    needs: "administer",
  },
  storage: {
    title: "Connect Azure Storage",
    text: "The account the files are moved to.",
    action: "Connect storage",
    route: { page: "connection-new" },
    needs: "administer",
  },
  client: {
    title: "Create a client",
    text: "The company whose files are moved.",
    action: "New client",
    route: { page: "client-new" },
    needs: "write",
  },
  project: {
    title: "Create a project",
    text: "One engagement for that client, with its place in the storage account.",
    action: "New project",
    route: { page: "project-new", clientId: null },
    needs: "write",
  },
};

function SetupCard({ setup, rights }: { setup: readonly SetupState[]; rights: Rights }) {
  const next = setup.find((state) => !state.done)?.step;
  return (
    <Card title="Set up Migrate" testId="setup">
      <ol class="setup">
        {setup.map(({ step, done }, index) => {
          const words = SETUP_WORDS[step];
          return (
            <li
              key={step}
              class={done ? "step step-done" : step === next ? "step step-next" : "step"}
              data-testid={`setup-${step}`}
            >
              <span class="step-mark">{done ? <Icon name="check" size={14} /> : index + 1}</span>
              <span class="step-words">
                <strong>{words.title}</strong>
                <span class="muted">{done ? "Done" : words.text}</span>
              </span>
              {!done &&
                (rights[words.needs] ? (
                  <LinkButton look={step === next ? "primary" : "plain"} href={pathOf(words.route)}>
                    {words.action}
                  </LinkButton>
                ) : (
                  <span class="muted">
                    {words.needs === "administer" ? "An admin does this" : "A member does this"}
                  </span>
                ))}
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

function TotalsCard({ overview }: { overview: Overview }) {
  const { agents, jobs } = overview;
  return (
    <div class="totals">
      <Figures
        figures={[
          { title: "Active jobs", value: formatCount(jobs.active), testId: "total-active" },
          {
            title: "Agents online",
            value: `${formatCount(agents.online)} of ${formatCount(agents.total)}`,
            testId: "total-agents",
          },
          { title: "Moved", value: formatBytes(overview.bytesCompleted), testId: "total-bytes" },
          { title: "Files", value: formatCount(overview.filesCompleted), testId: "total-files" },
          { title: "Completed jobs", value: formatCount(jobs.completed), testId: "total-completed" },
          jobs.failed > 0
            ? {
                title: "Failed jobs",
                value: formatCount(jobs.failed),
                testId: "total-failed",
                tone: "danger",
              }
            : { title: "Failed jobs", value: "0", testId: "total-failed" },
        ]}
      />
    </div>
  );
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
