import { SelectField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { REPETITION_MINUTES, VANISHED_RULES } from "../contract.ts";
import type { App } from "../models/app.ts";
import { faultAt } from "../models/form.ts";
import { createJobForm, type JobFormModel } from "../models/job-form.ts";
import { pathOf } from "../models/router.ts";
import { JOB_TYPE_WORDS, VANISHED_WORDS } from "../words.ts";
import { JobOptions } from "./job-options.tsx";
import { planOf } from "./job-plan.ts";
import { destinationText } from "./job-sentences.ts";
import { usePageModel } from "./use-page-model.ts";
import { jobNewPage as texts } from "../texts/job-form.ts";

export function JobNewPage({ app, projectId }: { app: App; projectId: string | null }) {
  const model = usePageModel(() =>
    createJobForm(app, { projectId, saved: (job) => app.router.replace({ page: "job", id: job.id }) }),
  );
  const { form } = model;
  const crumb =
    projectId === null
      ? { text: texts.jobs, href: pathOf({ page: "jobs", state: "all" }) }
      : {
          text: model.project.value?.name ?? texts.project,
          href: pathOf({ page: "project", id: projectId }),
        };
  return (
    <Page title={texts.newJob} crumb={crumb} narrow>
      <Loaded remote={model.choices.value} onRetry={model.open}>
        {() => (
          <FormFrame
            form={form}
            submitText={texts.createJob}
            submitTestId="save-job"
            onCancel={() =>
              app.router.go(
                projectId === null ? { page: "jobs", state: "all" } : { page: "project", id: projectId },
              )
            }
          >
            <Missing model={model} />
            <WhatFields model={model} />
            <JobOptions model={model} mayDelete={app.session.rights.value.administer} />
            <Plan model={model} />
          </FormFrame>
        )}
      </Loaded>
    </Page>
  );
}

/** What has to be there before a job can be made. */
function Missing({ model }: { model: JobFormModel }) {
  return (
    <>
      {model.projects.value.length === 0 && (
        <Notice tone="warning">
          {texts.noProject.before}
          <a href={pathOf({ page: "project-new", clientId: null })}>{texts.noProject.link}</a>
          {texts.noProject.after}
        </Notice>
      )}
      {model.agents.value.length === 0 && (
        <Notice tone="warning">
          {texts.noAgent.before}
          <a href={pathOf({ page: "agent-register" })}>{texts.noAgent.link}</a>
          {texts.noAgent.after}
        </Notice>
      )}
    </>
  );
}

function WhatFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const destination = model.destination.value;
  return (
    <Card>
      <TextField
        name="name"
        label={texts.name}
        testId="job-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      <div class="field-pair">
        <SelectField
          name="projectId"
          label={texts.project}
          placeholder={texts.chooseAProject}
          testId="job-project"
          value={values.projectId}
          options={model.projects.value.map((project) => ({
            value: project.id,
            text: `${project.name} – ${project.clientName}`,
          }))}
          error={faultAt(errors, "projectId")}
          onInput={(value) => {
            form.set("projectId", value);
            form.set("type", null);
          }}
        />
        <SelectField
          name="agentId"
          label={texts.agent}
          placeholder={texts.chooseAnAgent}
          hint={
            model.agent.value !== null && model.agent.value.status !== "online"
              ? texts.offlineNowJobStarts
              : undefined
          }
          testId="job-agent"
          value={values.agentId}
          options={model.agents.value.map((agent) => ({
            value: agent.id,
            text: agent.status === "online" ? texts.online(agent.name) : texts.offline(agent.name),
          }))}
          error={faultAt(errors, "agentId")}
          onInput={(value) => form.set("agentId", value)}
        />
      </div>
      {model.types.value.length > 1 && (
        <SelectField
          name="type"
          label={texts.type}
          testId="job-type"
          value={values.type ?? model.types.value[0] ?? ""}
          options={model.types.value.map((type) => ({ value: type, text: JOB_TYPE_WORDS[type] }))}
          error={faultAt(errors, "type")}
          onInput={(value) => form.set("type", value)}
        />
      )}
      {model.effective.value.repeats && <RepetitionFields model={model} />}
      <TextField
        name="source.path"
        label={texts.sourceFolder}
        hint={texts.fullPathAgentsMachine}
        placeholder={
          model.agent.value?.os.toLowerCase().startsWith("windows") ? "D:\\Shares\\Files" : "/srv/files"
        }
        mono
        testId="job-source"
        value={values.path}
        error={faultAt(errors, "source.path")}
        onInput={(value) => form.set("path", value)}
      />
      {destination !== null && (
        <p class="destination" data-testid="job-destination">
          <span class="muted">{texts.destination}</span> {destinationText(destination)}
        </p>
      )}
    </Card>
  );
}

function RepetitionFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <>
      <div class="field-pair">
        <TextField
          name="options.repetition.everyMinutes"
          label={texts.pauseBetweenPasses}
          type="number"
          unit="min"
          min={REPETITION_MINUTES.min}
          max={REPETITION_MINUTES.max}
          hint={texts.fromEndOnePass}
          testId="job-every-minutes"
          value={values.everyMinutes}
          error={faultAt(errors, "options.repetition.everyMinutes")}
          onInput={(value) => form.set("everyMinutes", value)}
        />
        <SelectField
          name="options.repetition.vanished"
          label={texts.filesGoneFromSource}
          testId="job-vanished"
          value={values.vanished}
          options={VANISHED_RULES.map((rule) => ({ value: rule, text: VANISHED_WORDS[rule] }))}
          error={faultAt(errors, "options.repetition.vanished")}
          onInput={(value) => form.set("vanished", value)}
        />
      </div>
      {values.vanished === "remove" && (
        <Notice tone="warning" testId="vanished-warning">
          {texts.whateverSomebodyDeletesRenames}
        </Notice>
      )}
    </>
  );
}

/** What will happen, to be read before the button is pressed. */
function Plan({ model }: { model: JobFormModel }) {
  const lines = planOf(model.form.values.value, {
    agent: model.agent.value,
    project: model.project.value,
    destination: model.destination.value,
    type: model.type.value,
  });
  return (
    <Card title={texts.whatWillHappen} testId="job-plan">
      {lines.length === 0 ? (
        <p class="muted">{texts.chooseProjectAgentSource}</p>
      ) : (
        <ul class="plan">
          {lines.map((line) => (
            <li key={line.text} class={line.tone === "warning" ? "plan-warning" : ""}>
              {line.text}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
