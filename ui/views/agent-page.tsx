import { useState } from "preact/hooks";
import type { Agent, Client } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { SelectField, TextField } from "../components/field.tsx";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatAgo, formatBytes, formatCount, formatDate, NOTHING } from "../format.ts";
import { type AgentFormValues, createAgentPage } from "../models/agents.ts";
import type { App } from "../models/app.ts";
import { type Form, faultAt } from "../models/form.ts";
import { pathOf } from "../models/router.ts";
import { AGENT_STATUS_WORDS } from "../words.ts";
import { systemText } from "./agents-page.tsx";
import { usePageModel } from "./use-page-model.ts";

export function AgentPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createAgentPage(app, id), id);
  const [asksRevoke, setAsksRevoke] = useState(false);
  const agent = model.agent.value.value;
  const form = model.form.value;
  const mayChange = app.session.rights.value.administer && agent !== null && agent.status !== "revoked";
  return (
    <Page
      title={agent?.name ?? "Agent"}
      crumb={{ text: "Agents", href: pathOf({ page: "agents" }) }}
      badge={agent && <Badge words={AGENT_STATUS_WORDS[agent.status]} testId="agent-status" />}
      actions={
        mayChange &&
        form === null && (
          <>
            <Button testId="edit-agent" onPress={model.edit}>
              Edit
            </Button>
            <Button
              look="danger"
              testId="revoke-agent"
              busy={model.revoking.value}
              onPress={() => setAsksRevoke(true)}
            >
              Revoke
            </Button>
          </>
        )
      }
    >
      {asksRevoke && (
        <ConfirmDialog
          title="Revoke this agent?"
          confirmText="Revoke agent"
          cancelText="Keep it"
          confirmTestId="confirm-revoke"
          onConfirm={() => void model.revoke()}
          onClose={() => setAsksRevoke(false)}
        >
          Its key stops working at once and it can move nothing more. This cannot be undone; the machine can
          be registered again with a new code.
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
          { title: "Machine", value: <FileName name={agent.host} /> },
          { title: "System", value: systemText(agent) },
          { title: "Version", value: agent.version },
          { title: "Label", value: agent.label ?? NOTHING },
          {
            title: "Client",
            value:
              client === undefined ? (
                NOTHING
              ) : (
                <a href={pathOf({ page: "client", id: client.id })}>{client.name}</a>
              ),
          },
          {
            title: "Last seen",
            value:
              agent.status === "online"
                ? "Now"
                : agent.lastSeenAt === null
                  ? "Never"
                  : formatAgo(agent.lastSeenAt, nowMs),
          },
          { title: "Active jobs", value: formatCount(agent.activeJobCount) },
          {
            title: "Free disk",
            value: agent.freeDiskBytes === null ? NOTHING : formatBytes(agent.freeDiskBytes),
          },
          { title: "Registered", value: formatDate(agent.createdAt) },
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
    <Card title="Edit agent">
      <FormFrame
        problem={form.problem.value}
        refusals={form.refusals.value}
        saving={form.saving.value}
        submitText="Save"
        submitTestId="save-agent"
        onSubmit={() => void form.submit()}
        onCancel={props.onCancel}
      >
        <div class="field-pair">
          <TextField
            name="name"
            label="Name"
            testId="agent-name"
            value={values.name}
            error={faultAt(errors, "name")}
            onInput={(value) => form.set("name", value)}
          />
          <TextField
            name="label"
            label="Label"
            optional
            testId="agent-label"
            value={values.label}
            error={faultAt(errors, "label")}
            onInput={(value) => form.set("label", value)}
          />
        </div>
        <SelectField
          name="clientId"
          label="Client"
          optional
          testId="agent-client"
          value={values.clientId === "" ? "none" : values.clientId}
          options={[
            { value: "none", text: "No client" },
            ...props.clients.map((client) => ({ value: client.id, text: client.name })),
          ]}
          error={faultAt(errors, "clientId")}
          onInput={(value) => form.set("clientId", value === "none" ? "" : value)}
        />
      </FormFrame>
    </Card>
  );
}
