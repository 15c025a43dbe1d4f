import "./downloads.css";
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
import {
  type AgentCommand,
  registerCommands,
  SHELL_WORDS,
  type System,
  SYSTEM_WORDS,
  SYSTEMS,
} from "./register-command.ts";
import { usePageModel } from "./use-page-model.ts";
import { registerAgentPage as texts } from "../texts/agents.ts";

export function RegisterAgentPage({ app }: { app: App }) {
  const model = usePageModel(() => createRegisterAgent(app));
  const code = model.made.value;
  const agent = model.agent.value;
  return (
    <Page
      title={texts.registerAnAgent}
      crumb={{ text: texts.agents, href: pathOf({ page: "agents" }) }}
      lead={texts.makeCodeHereType}
      narrow
    >
      {!app.session.rights.value.administer ? (
        <Notice tone="warning">{texts.onlyAdminOwnerRegisters}</Notice>
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
      <FormFrame form={form} submitText={texts.generateCode} submitTestId="generate-code">
        <TextField
          name="label"
          label={texts.label}
          optional
          hint={texts.helpsTellCodesApart}
          testId="code-label"
          value={values.label}
          error={faultAt(form.errors.value, "label")}
          onInput={(value) => form.set("label", value)}
        />
        <ChoiceField
          name="validMinutes"
          label={texts.validFor}
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
  if (remainingMs <= 0) {
    return (
      <Card>
        <Notice tone="warning">{texts.codeHasExpiredNo}</Notice>
        <div class="form-actions">
          <Button look="primary" onPress={onAgain}>
            {texts.makeANewCode}
          </Button>
        </div>
      </Card>
    );
  }
  return (
    <Card>
      <div class="code-show">
        <output class="code" data-testid="registration-code" aria-label={texts.registrationCode}>
          {code.code}
        </output>
        <CopyButton text={code.code} label={texts.copyCode} copy={app.copy} testId="copy-code" />
        <p class="muted numbers">
          {texts.worksOnceForAnother}
          <span data-testid="code-countdown">{formatCountdown(remainingMs)}</span>
          {texts.shownOnlyNow}
        </p>
      </div>
      <div class="code-command">
        <div class="tabs tabs-inside" role="group" aria-label={texts.systemOfTheMachine}>
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
        <p class="muted">
          {SHELL_WORDS[system]}
          {texts.youDoNotHave}
          <a href="/downloads">{texts.getTheAgent}</a>
        </p>
        {registerCommands(system, { code: code.code, origin: app.origin }).map((command) => (
          <Command key={command.way} app={app} command={command} />
        ))}
      </div>
      <p class="waiting" role="status" data-testid="waiting-for-agent">
        <span class="pulse" aria-hidden="true" />
        {texts.waitingForTheAgent}
      </p>
    </Card>
  );
}

function Command({ app, command }: { app: App; command: AgentCommand }) {
  return (
    <div class="code-way">
      <h2>{command.title}</h2>
      <pre class="command" data-testid={`command-${command.way}`} tabIndex={0}>
        {command.text}
      </pre>
      <div class="code-way-foot">
        <CopyButton text={command.text} label={texts.copy} copy={app.copy} testId={`copy-${command.way}`} />
        <p class="muted">{command.note}</p>
      </div>
    </div>
  );
}

function AgentIsHere({ agent, onAgain }: { agent: Agent; onAgain: () => void }) {
  return (
    <Card>
      <div class="here" role="status" data-testid="agent-registered">
        <span class="here-mark">
          <Icon name="check" size={26} />
        </span>
        <p class="here-name">
          {agent.name}
          {texts.isRegistered}
        </p>
        <p class="muted">
          {agent.host}
          {texts.agent}
          {agent.version}
        </p>
        <div class="form-actions">
          <LinkButton look="primary" href={pathOf({ page: "agent", id: agent.id })}>
            {texts.openTheAgent}
          </LinkButton>
          <Button onPress={onAgain}>{texts.registerAnother}</Button>
        </div>
      </div>
    </Card>
  );
}
