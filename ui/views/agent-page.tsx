import { useState } from "preact/hooks";
import type { Agent, Client } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { SelectField, TextField } from "../components/field.tsx";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatAgo, formatBytes, formatCount, formatDate, NOTHING } from "../format.ts";
import { type AgentFormValues, createAgentPage } from "../models/agents.ts";
import type { App } from "../models/app.ts";
import { type Form, faultAt } from "../models/form.ts";
import { pathOf } from "../models/router.ts";
import { AGENT_STATUS_WORDS } from "../words.ts";
import { systemText } from "./agents-page.tsx";
import { usePageModel } from "./use-page-model.ts";
import { agentPage as texts } from "../texts/agents.ts";

export function AgentPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createAgentPage(app, id), id);
  const [asksRevoke, setAsksRevoke] = useState(false);
  const [asksUnlock, setAsksUnlock] = useState(false);
  const agent = model.agent.value.value;
  const form = model.form.value;
  const mayChange = app.session.rights.value.administer && agent !== null && agent.status !== "revoked";
  return (
    <Page
      title={agent?.name ?? texts.agent}
      crumb={{ text: texts.agents, href: pathOf({ page: "agents" }) }}
      badge={agent && <Badge words={AGENT_STATUS_WORDS[agent.status]} testId="agent-status" />}
      actions={
        mayChange &&
        form === null && (
          <>
            {agent.status === "locked" && (
              <Button
                look="primary"
                testId="unlock-agent"
                busy={model.acting.value}
                onPress={() => setAsksUnlock(true)}
              >
                {texts.unlock}
              </Button>
            )}
            <Button testId="edit-agent" onPress={model.edit}>
              {texts.edit}
            </Button>
            <Button
              look="danger"
              testId="revoke-agent"
              busy={model.acting.value}
              onPress={() => setAsksRevoke(true)}
            >
              {texts.revoke}
            </Button>
          </>
        )
      }
    >
      {agent?.status === "locked" && (
        <Notice tone="danger" testId="agent-locked">
          {texts.agentsIdentityUsedFrom}
        </Notice>
      )}
      {asksUnlock && (
        <ConfirmDialog
          title={texts.unlockThisAgent}
          look="primary"
          confirmText={texts.unlockAgent}
          cancelText={texts.leaveItLocked}
          confirmTestId="confirm-unlock"
          onConfirm={() => void model.unlock()}
          onClose={() => setAsksUnlock(false)}
        >
          {texts.machineConnectsNextBelieved}
        </ConfirmDialog>
      )}
      {asksRevoke && (
        <ConfirmDialog
          title={texts.revokeThisAgent}
          confirmText={texts.revokeAgent}
          cancelText={texts.keepIt}
          confirmTestId="confirm-revoke"
          onConfirm={() => void model.revoke()}
          onClose={() => setAsksRevoke(false)}
        >
          {texts.keyStopsWorkingOnce}
        </ConfirmDialog>
      )}
      <Loaded remote={model.agent.remote.value} onRetry={() => void model.agent.reload()}>
        {(value) =>
          form === null ? (
            <AgentFacts agent={value} clients={model.clients.value} nowMs={app.nowMs.value} />
          ) : (
            <AgentForm form={form} clients={model.clients.value} onCancel={model.cancelEdit} />
          )
        }
      </Loaded>
    </Page>
  );
}

function AgentFacts({ agent, clients, nowMs }: { agent: Agent; clients: readonly Client[]; nowMs: number }) {
  const client = clients.find((item) => item.id === agent.clientId);
  return (
    <Card>
      <Facts
        facts={[
          { title: texts.machine, value: <FileName name={agent.host} /> },
          { title: texts.system, value: systemText(agent) },
          { title: texts.version, value: agent.version },
          { title: texts.label, value: agent.label ?? NOTHING },
          {
            title: texts.client,
            value:
              client === undefined ? (
                NOTHING
              ) : (
                <a href={pathOf({ page: "client", id: client.id })}>{client.name}</a>
              ),
          },
          {
            title: texts.lastSeen,
            value:
              agent.status === "online"
                ? texts.now
                : agent.lastSeenAt === null
                  ? texts.never
                  : formatAgo(agent.lastSeenAt, nowMs),
          },
          ...(agent.connection === "long_poll"
            ? [
                {
                  title: texts.connection,
                  value: texts.longPollAsWebsockets,
                },
              ]
            : []),
          { title: texts.activeJobs, value: formatCount(agent.activeJobCount) },
          {
            title: texts.freeDisk,
            value: agent.freeDiskBytes === null ? NOTHING : formatBytes(agent.freeDiskBytes),
          },
          { title: texts.registered, value: formatDate(agent.createdAt) },
        ]}
      />
    </Card>
  );
}

function AgentForm(props: { form: Form<AgentFormValues>; clients: readonly Client[]; onCancel: () => void }) {
  const { form } = props;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <Card title={texts.editAgent}>
      <FormFrame form={form} submitText={texts.save} submitTestId="save-agent" onCancel={props.onCancel}>
        <div class="field-pair">
          <TextField
            name="name"
            label={texts.name}
            testId="agent-name"
            value={values.name}
            error={faultAt(errors, "name")}
            onInput={(value) => form.set("name", value)}
          />
          <TextField
            name="label"
            label={texts.label}
            optional
            testId="agent-label"
            value={values.label}
            error={faultAt(errors, "label")}
            onInput={(value) => form.set("label", value)}
          />
        </div>
        <SelectField
          name="clientId"
          label={texts.client}
          optional
          testId="agent-client"
          value={values.clientId === "" ? "none" : values.clientId}
          options={[
            { value: "none", text: texts.noClient },
            ...props.clients.map((client) => ({ value: client.id, text: client.name })),
          ]}
          error={faultAt(errors, "clientId")}
          onInput={(value) => form.set("clientId", value === "none" ? "" : value)}
        />
      </FormFrame>
    </Card>
  );
}
