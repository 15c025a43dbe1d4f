import { useState } from "preact/hooks";
import type { Agent, RegistrationCodeMade } from "../../schema/api.ts";
import { Button, LinkButton } from "../components/button.tsx";
import { CopyButton } from "../components/copy-button.tsx";
import { ChoiceField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Icon } from "../components/icon.tsx";
import { Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { CODE_MINUTES } from "../contract.ts";
import { formatCountdown } from "../format.ts";
import { createRegisterAgent, type RegisterAgentModel } from "../models/agents.ts";
import type { App } from "../models/app.ts";
import { faultAt } from "../models/form.ts";
import { pathOf } from "../models/router.ts";
import { CODE_MINUTES_WORDS } from "../words.ts";
import { registerCommand, type System, SYSTEM_WORDS, SYSTEMS } from "./register-command.ts";
import { usePageModel } from "./use-page-model.ts";

export function RegisterAgentPage({ app }: { app: App }) {
  const model = usePageModel(() => createRegisterAgent(app));
  const code = model.made.value;
  const agent = model.agent.value;
  return (
    <Page
      title="Register an agent"
      crumb={{ text: "Agents", href: pathOf({ page: "agents" }) }}
      lead="Make a code here, type it on the machine that can read the files. The agent then appears by itself."
      narrow
    >
      {!app.session.rights.value.administer ? (
        <Notice tone="warning">Only an admin or the owner registers agents.</Notice>
      ) : agent !== null ? (
        <AgentIsHere agent={agent} onAgain={model.again} />
      ) : code === null ? (
        <CodeForm model={model} />
      ) : (
        <CodeCard app={app} code={code} onAgain={model.again} />
      )}
    </Page>
  );
}

function CodeForm({ model }: { model: RegisterAgentModel }) {
  const form = model.form.value;
  const values = form.values.value;
  return (
    <Card>
      <FormFrame
        problem={form.problem.value}
        refusals={form.refusals.value}
        saving={form.saving.value}
        submitText="Generate Code"
        submitTestId="generate-code"
        onSubmit={() => void form.submit()}
      >
        <TextField
          name="label"
          label="Label"
          optional
          hint="Helps to tell the codes apart, such as the site's name."
          testId="code-label"
          value={values.label}
          error={faultAt(form.errors.value, "label")}
          onInput={(value) => form.set("label", value)}
        />
        <ChoiceField
          name="validMinutes"
          label="Valid for"
          value={String(values.validMinutes)}
          options={CODE_MINUTES.map((minutes) => ({
            value: String(minutes),
            text: CODE_MINUTES_WORDS[minutes],
            testId: `code-valid-${minutes}`,
          }))}
          onInput={(value) =>
            form.set("validMinutes", CODE_MINUTES.find((minutes) => String(minutes) === value) ?? 1_440)
          }
        />
      </FormFrame>
    </Card>
  );
}

function CodeCard({ app, code, onAgain }: { app: App; code: RegistrationCodeMade; onAgain: () => void }) {
  const [system, setSystem] = useState<System>("windows");
  // The ticking clock is up to a second behind, and must not show more than the code ever had.
  const wholeMs = Date.parse(code.expiresAt) - Date.parse(code.createdAt);
  const remainingMs = Math.min(wholeMs, Date.parse(code.expiresAt) - app.nowMs.value);
  const command = registerCommand(system, { code: code.code, origin: app.origin });
  if (remainingMs <= 0) {
    return (
      <Card>
        <Notice tone="warning">The code has expired and no agent used it.</Notice>
        <div class="form-actions">
          <Button look="primary" onPress={onAgain}>
            Make a new code
          </Button>
        </div>
      </Card>
    );
  }
  return (
    <Card>
      <div class="code-show">
        <output class="code" data-testid="registration-code" aria-label="Registration code">
          {code.code}
        </output>
        <CopyButton text={code.code} label="Copy code" copy={app.copy} testId="copy-code" />
        <p class="muted numbers">
          Works once, for another <span data-testid="code-countdown">{formatCountdown(remainingMs)}</span>. It
          is shown only now.
        </p>
      </div>
      <div class="code-command">
        <div class="tabs tabs-inside" role="group" aria-label="System of the machine">
          {SYSTEMS.map((item) => (
            <button
              key={item}
              type="button"
              class={item === system ? "tab tab-on" : "tab"}
              aria-pressed={item === system}
              data-testid={`system-${item}`}
              onClick={() => setSystem(item)}
            >
              {SYSTEM_WORDS[item]}
            </button>
          ))}
        </div>
        <pre class="command" data-testid="register-command" tabIndex={0}>
          {command}
        </pre>
        <CopyButton text={command} label="Copy command" copy={app.copy} testId="copy-command" />
      </div>
      <p class="waiting" role="status" data-testid="waiting-for-agent">
        <span class="pulse" aria-hidden="true" /> Waiting for the agent…
      </p>
    </Card>
  );
}

function AgentIsHere({ agent, onAgain }: { agent: Agent; onAgain: () => void }) {
  return (
    <Card>
      <div class="here" role="status" data-testid="agent-registered">
        <span class="here-mark">
          <Icon name="check" size={26} />
        </span>
        <p class="here-name">{agent.name} is registered</p>
        <p class="muted">
          {agent.host} · agent {agent.version}
        </p>
        <div class="form-actions">
          <LinkButton look="primary" href={pathOf({ page: "agent", id: agent.id })}>
            Open the agent
          </LinkButton>
          <Button onPress={onAgain}>Register another</Button>
        </div>
      </div>
    </Card>
  );
}
