import { CheckField, SelectField, TextAreaField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { ACCESS_TIERS, CHUNK_MIB, CONCURRENCY, EXISTING_RULES } from "../contract.ts";
import type { App } from "../models/app.ts";
import { faultAt } from "../models/form.ts";
import { createJobForm, type JobFormModel } from "../models/job-form.ts";
import { pathOf } from "../models/router.ts";
import { EXISTING_WORDS, JOB_TYPE_WORDS, TIER_WORDS } from "../words.ts";
import { destinationText, planSentence } from "./job-sentences.ts";
import { usePageModel } from "./use-page-model.ts";

export function JobNewPage({ app, projectId }: { app: App; projectId: string | null }) {
  const model = usePageModel(() =>
    createJobForm(app, { projectId, saved: (job) => app.router.replace({ page: "job", id: job.id }) }),
  );
  const { form } = model;
  const crumb =
    projectId === null
      ? { text: "Jobs", href: pathOf({ page: "jobs", state: "all" }) }
      : { text: model.project.value?.name ?? "Project", href: pathOf({ page: "project", id: projectId }) };
  return (
    <Page title="New job" crumb={crumb} narrow>
      <Loaded remote={model.choices.value} onRetry={model.open}>
        {() => (
          <FormFrame
            problem={form.problem.value}
            refusals={form.refusals.value}
            saving={form.saving.value}
            submitText="Create job"
            submitTestId="save-job"
            onSubmit={() => void form.submit()}
            onCancel={() =>
              app.router.go(
                projectId === null ? { page: "jobs", state: "all" } : { page: "project", id: projectId },
              )
            }
          >
            <Missing model={model} />
            <WhatFields model={model} />
            <HowFields model={model} />
            <FilterFields model={model} />
            <Notice tone="neutral" testId="job-plan">
              {planSentence(form.values.value, {
                agent: model.agent.value,
                destination: model.destination.value,
              })}
            </Notice>
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
          There is no project yet.{" "}
          <a href={pathOf({ page: "project-new", clientId: null })}>Create one first</a>.
        </Notice>
      )}
      {model.agents.value.length === 0 && (
        <Notice tone="warning">
          There is no agent yet. <a href={pathOf({ page: "agent-register" })}>Register one first</a>.
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
        label="Name"
        testId="job-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      <div class="field-pair">
        <SelectField
          name="projectId"
          label="Project"
          placeholder="Choose a project"
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
          label="Agent"
          placeholder="Choose an agent"
          hint={
            model.agent.value !== null && model.agent.value.status !== "online"
              ? "It is offline now. The job starts when it is back."
              : undefined
          }
          testId="job-agent"
          value={values.agentId}
          options={model.agents.value.map((agent) => ({
            value: agent.id,
            text: agent.status === "online" ? `${agent.name} – online` : `${agent.name} – offline`,
          }))}
          error={faultAt(errors, "agentId")}
          onInput={(value) => form.set("agentId", value)}
        />
      </div>
      {model.types.value.length > 1 && (
        <SelectField
          name="type"
          label="Type"
          testId="job-type"
          value={values.type ?? model.types.value[0] ?? ""}
          options={model.types.value.map((type) => ({ value: type, text: JOB_TYPE_WORDS[type] }))}
          error={faultAt(errors, "type")}
          onInput={(value) => form.set("type", value)}
        />
      )}
      <TextField
        name="source.path"
        label="Source folder"
        hint="The full path on the agent's machine, or a network share it can read."
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
          <span class="muted">Destination</span> {destinationText(destination)}
        </p>
      )}
    </Card>
  );
}

function HowFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const storage = model.project.value?.storage ?? null;
  return (
    <details class="card fold" data-testid="job-options">
      <summary>
        <h2>Options</h2>
        <span class="muted">
          {values.concurrency} streams · {values.chunkSizeMiB} MiB ·{" "}
          {values.verify ? "verified" : "not verified"}
        </span>
      </summary>
      <div class="fold-body">
        <div class="field-pair">
          <TextField
            name="options.concurrency"
            label="Parallel streams"
            type="number"
            min={CONCURRENCY.min}
            max={CONCURRENCY.max}
            hint={`${CONCURRENCY.min} to ${CONCURRENCY.max}`}
            testId="job-concurrency"
            value={values.concurrency}
            error={faultAt(errors, "options.concurrency")}
            onInput={(value) => form.set("concurrency", value)}
          />
          <TextField
            name="options.chunkSizeMiB"
            label="Chunk size"
            type="number"
            unit="MiB"
            min={CHUNK_MIB.min}
            max={CHUNK_MIB.max}
            hint="Raised by itself for very large files"
            testId="job-chunk"
            value={values.chunkSizeMiB}
            error={faultAt(errors, "options.chunkSizeMiB")}
            onInput={(value) => form.set("chunkSizeMiB", value)}
          />
        </div>
        <CheckField
          name="options.verify"
          label="Verify integrity"
          hint="After the upload the storage service is asked what it holds, and each file is compared."
          testId="job-verify"
          checked={values.verify}
          onInput={(checked) => form.set("verify", checked)}
        />
        <SelectField
          name="options.existing"
          label="What is already at the destination"
          testId="job-existing"
          value={values.existing}
          options={EXISTING_RULES.map((rule) => ({ value: rule, text: EXISTING_WORDS[rule] }))}
          error={faultAt(errors, "options.existing")}
          onInput={(value) => form.set("existing", value)}
        />
        <div class="field-pair">
          <TextField
            name="destination.prefix"
            label="Folder in the container"
            hint="As in the project, unless changed here"
            testId="job-prefix"
            value={values.prefix ?? storage?.prefix ?? ""}
            error={faultAt(errors, "destination.prefix")}
            onInput={(value) => form.set("prefix", value)}
          />
          <SelectField
            name="destination.tier"
            label="Tier"
            testId="job-tier"
            value={values.tier ?? storage?.tier ?? "Hot"}
            options={ACCESS_TIERS.map((tier) => ({ value: tier, text: TIER_WORDS[tier] }))}
            error={faultAt(errors, "destination.tier")}
            onInput={(value) => form.set("tier", value)}
          />
        </div>
      </div>
    </details>
  );
}

function FilterFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const texts = [
    values.include,
    values.exclude,
    values.modifiedAfter,
    values.modifiedBefore,
    values.sizeMin,
    values.sizeMax,
  ];
  const used = texts.filter((text) => text.trim() !== "").length;
  return (
    <details class="card fold" data-testid="job-filters">
      <summary>
        <h2>Filters</h2>
        <span class="muted">{used === 0 ? "Everything in the folder" : `${used} set`}</span>
      </summary>
      <div class="fold-body">
        <div class="field-pair">
          <TextAreaField
            name="options.filters.include"
            label="Only these"
            optional
            rows={4}
            mono
            hint="One pattern per line, as in .gitignore. When there are any, a file must match one."
            placeholder={"*.pdf\nProjects/2024/**"}
            testId="job-include"
            value={values.include}
            error={faultAt(errors, "options.filters.include")}
            onInput={(value) => form.set("include", value)}
          />
          <TextAreaField
            name="options.filters.exclude"
            label="Not these"
            optional
            rows={4}
            mono
            hint="One pattern per line. A file that matches is left out."
            placeholder={"~$*\nThumbs.db\n*.tmp"}
            testId="job-exclude"
            value={values.exclude}
            error={faultAt(errors, "options.filters.exclude")}
            onInput={(value) => form.set("exclude", value)}
          />
        </div>
        <div class="field-pair">
          <TextField
            name="options.filters.modifiedAfter"
            label="Modified on or after"
            optional
            type="date"
            testId="job-modified-after"
            value={values.modifiedAfter}
            error={faultAt(errors, "options.filters.modifiedAfter")}
            onInput={(value) => form.set("modifiedAfter", value)}
          />
          <TextField
            name="options.filters.modifiedBefore"
            label="Modified before"
            optional
            type="date"
            testId="job-modified-before"
            value={values.modifiedBefore}
            error={faultAt(errors, "options.filters.modifiedBefore")}
            onInput={(value) => form.set("modifiedBefore", value)}
          />
        </div>
        <div class="field-pair">
          <TextField
            name="options.filters.sizeBytesMin"
            label="At least"
            optional
            inputMode="decimal"
            unit="MB"
            testId="job-size-min"
            value={values.sizeMin}
            error={faultAt(errors, "options.filters.sizeBytesMin")}
            onInput={(value) => form.set("sizeMin", value)}
          />
          <TextField
            name="options.filters.sizeBytesMax"
            label="At most"
            optional
            inputMode="decimal"
            unit="MB"
            testId="job-size-max"
            value={values.sizeMax}
            error={faultAt(errors, "options.filters.sizeBytesMax")}
            onInput={(value) => form.set("sizeMax", value)}
          />
        </div>
      </div>
    </details>
  );
}
