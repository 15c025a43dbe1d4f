import type { Agent } from "../../schema/api.ts";
import { StateDot } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatAgo, formatCount, NOTHING } from "../format.ts";
import { createAgentList } from "../models/agents.ts";
import type { App } from "../models/app.ts";
import { pathOf } from "../models/router.ts";
import { AGENT_STATUS_WORDS, systemName } from "../words.ts";
import { usePageModel } from "./use-page-model.ts";

export function AgentsPage({ app }: { app: App }) {
  const { list, items } = usePageModel(() => createAgentList(app.api, app.live));
  const register = app.session.rights.value.administer && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "agent-register" })} testId="register-agent">
      Register an agent
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && items.value.length === 0;
  return (
    <Page
      title="Agents"
      lead="The programs at your customers' sites that move the files."
      actions={!isEmpty && register}
    >
      <Card flush>
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {() =>
            items.value.length === 0 ? (
              <EmptyState icon="agent" title="No agents yet" action={register}>
                An agent runs on a machine that can read the files. It needs no open port, only the way out
                over HTTPS.
              </EmptyState>
            ) : (
              <DataTable
                label="Agents"
                testId="agents"
                columns={columnsAt(app.nowMs.value)}
                items={items.value}
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
      title: "Agent",
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
      title: "Status",
      cell: (agent) => <StateDot words={AGENT_STATUS_WORDS[agent.status]} testId="agent-status" />,
    },
    {
      title: "Last seen",
      cell: (agent) => (
        <span class="muted">
          {agent.status === "online"
            ? "Now"
            : agent.lastSeenAt === null
              ? NOTHING
              : formatAgo(agent.lastSeenAt, nowMs)}
        </span>
      ),
    },
    { title: "Jobs", numeric: true, cell: (agent) => formatCount(agent.activeJobCount) },
    { title: "System", desk: true, cell: (agent) => <span class="muted">{systemText(agent)}</span> },
    { title: "Version", desk: true, cell: (agent) => <span class="muted">{agent.version}</span> },
  ];
}

export function systemText(agent: Agent): string {
  return `${systemName(agent.os)} ${agent.arch}`;
}
