import type { Agent } from "../../schema/api.ts";
import { StateDot } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { later } from "../components/later.tsx";
import { type Filter, ListTools, NothingFound } from "../components/list-tools.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatAgo, formatCount, NOTHING } from "../format.ts";
import { createAgentList } from "../models/agents.ts";
import type { App } from "../models/app.ts";
import { isNarrowed } from "../models/list-state.ts";
import { AGENT_FILTERS, pathOf, type Route } from "../models/router.ts";
import { AGENT_STATUS_WORDS, systemName } from "../words.ts";
import { listOfRoute, useListState } from "./use-list.ts";
import { usePageModel } from "./use-page-model.ts";
import { agentsPage as texts } from "../texts/agents.ts";

const AgentApprovals = later(
  async () => (await import("./agent-approvals.tsx")).AgentApprovals,
  "part of a page",
);

const FILTER: Filter = {
  label: texts.whichAgents,
  all: texts.allAgents,
  options: AGENT_FILTERS.map((value) => ({ value, text: AGENT_STATUS_WORDS[value].text })),
};

export function AgentsPage({ app, route }: { app: App; route: Extract<Route, { page: "agents" }> }) {
  const { state, change } = listOfRoute(app, route);
  const model = usePageModel(() => createAgentList(app.api, app.live, state));
  useListState(model, state);
  const { list, items } = model;
  const register = app.session.rights.value.administer && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "agent-register" })} testId="register-agent">
      {texts.registerAnAgent}
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && items.value.length === 0 && !isNarrowed(state);
  return (
    <Page title={texts.agents} lead={texts.programsYourCustomersSites} actions={!isEmpty && register}>
      {app.session.rights.value.administer && <AgentApprovals app={app} />}
      <Card flush>
        {!isEmpty && <ListTools what={texts.agents2} state={state} onChange={change} filter={FILTER} />}
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {() =>
            items.value.length === 0 && isNarrowed(state) ? (
              <NothingFound what={texts.agents2} state={state} onChange={change} />
            ) : items.value.length === 0 ? (
              <EmptyState icon="agent" title={texts.noAgentsYet} action={register}>
                {texts.agentRunsMachineCan}
              </EmptyState>
            ) : (
              <DataTable
                label={texts.agents}
                testId="agents"
                columns={columnsAt(app.nowMs.value)}
                items={items.value}
                sorting={{ state, onSort: change }}
              />
            )
          }
        </Loaded>
        <MoreButton
          hasMore={list.hasMore.value}
          busy={list.loadingMore.value}
          onMore={() => void list.more()}
        />
      </Card>
    </Page>
  );
}

function columnsAt(nowMs: number): readonly Column<Agent>[] {
  return [
    {
      title: texts.agent,
      sort: "name",
      cell: (agent) => (
        <>
          <a class="row-link" href={pathOf({ page: "agent", id: agent.id })}>
            {agent.name}
          </a>
          {agent.label !== null && <span class="under">{agent.label}</span>}
        </>
      ),
    },
    {
      title: texts.status,
      sort: "status",
      cell: (agent) => <StateDot words={AGENT_STATUS_WORDS[agent.status]} testId="agent-status" />,
    },
    {
      title: texts.lastSeen,
      sort: "activity",
      cell: (agent) => (
        <span class="muted">
          {agent.status === "online"
            ? texts.now
            : agent.lastSeenAt === null
              ? NOTHING
              : formatAgo(agent.lastSeenAt, nowMs)}
        </span>
      ),
    },
    { title: texts.jobs, numeric: true, cell: (agent) => formatCount(agent.activeJobCount) },
    { title: texts.system, desk: true, cell: (agent) => <span class="muted">{systemText(agent)}</span> },
    { title: texts.version, desk: true, cell: (agent) => <span class="muted">{agent.version}</span> },
  ];
}

export function systemText(agent: Agent): string {
  return `${systemName(agent.os)} ${agent.arch}`;
}
