import "./settings.css";
import { useState } from "preact/hooks";
import type { Agent } from "../../schema/api.ts";
import { Button } from "../components/button.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { FileName } from "../components/file-name.tsx";
import { Card } from "../components/page.tsx";
import { formatDateTime } from "../format.ts";
import type { App } from "../models/app.ts";
import { createApprovals } from "../models/approvals.ts";
import { systemName } from "../words.ts";
import { keepFocus } from "./focus.ts";
import { usePageModel } from "./use-page-model.ts";
import { agentApprovals as texts } from "../texts/agents.ts";

/** Agents that wait for an admin, above the list of agents; nothing at all while none waits. */
export function AgentApprovals({ app }: { app: App }) {
  const model = usePageModel(() => createApprovals(app));
  const [refusing, setRefusing] = useState<Agent | null>(null);
  const waiting = model.list.items.value;
  if (waiting.length === 0 && refusing === null) return null;
  const columns: readonly Column<Agent>[] = [
    {
      title: texts.agent,
      cell: (agent) => (
        <>
          <strong class="row-name">
            <FileName name={agent.name} />
          </strong>
          {agent.host !== agent.name && (
            <span class="under">
              <FileName name={agent.host} />
            </span>
          )}
        </>
      ),
    },
    {
      title: texts.system,
      cell: (agent) => <span class="muted">{`${systemName(agent.os)} ${agent.arch}`}</span>,
    },
    {
      title: texts.registered,
      cell: (agent) => <span class="muted">{formatDateTime(agent.createdAt)}</span>,
    },
    {
      title: "",
      numeric: true,
      cell: (agent) => {
        const isBusy = model.actions.busy.value.has(agent.id);
        return (
          <span class="row-actions">
            <Button
              look="primary"
              testId="approve-agent"
              busy={isBusy}
              onPress={() => void model.approve(agent).then(keepFocus)}
            >
              {texts.approve}
            </Button>
            <Button testId="refuse-agent" busy={isBusy} onPress={() => setRefusing(agent)}>
              {texts.refuse}
            </Button>
          </span>
        );
      },
    },
  ];
  return (
    <Card title={texts.waitingForYourApproval} flush testId="approvals">
      <DataTable label={texts.agentsWaitApproval} testId="pending-agents" columns={columns} items={waiting} />
      {refusing !== null && (
        <ConfirmDialog
          title={`Refuse ${refusing.name}?`}
          confirmText={texts.refuseAgent}
          cancelText={texts.notNow}
          confirmTestId="confirm-refuse-agent"
          onConfirm={() => void model.refuse(refusing).then(keepFocus)}
          onClose={() => setRefusing(null)}
        >
          {texts.keyVoidOnceIf}
        </ConfirmDialog>
      )}
    </Card>
  );
}
