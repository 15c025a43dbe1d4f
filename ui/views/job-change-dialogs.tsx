/** The forms in which a job's start or agent is changed, and in which another job is made like it. */
import type { Agent, Job } from "../../schema/api.ts";
import { Dialog } from "../components/dialog.tsx";
import { SelectField, TextField } from "../components/field.tsx";
import { FileName } from "../components/file-name.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Notice } from "../components/loaded.tsx";
import { type Form, faultAt } from "../models/form.ts";
import type { JobPageModel } from "../models/job.ts";
import type { DuplicateValues, JobChanges, MoveValues, StartValues } from "../models/job-changes.ts";
import { AGENT_STATUS_WORDS } from "../words.ts";
import { jobChangeDialogs as texts } from "../texts/job.ts";

export function JobChangeDialogs(props: { model: JobPageModel; job: Job; mayAdminister: boolean }) {
  const { changes } = props.model;
  const change = changes.open.value;
  switch (change?.kind) {
    case undefined:
      return null;
    case "start":
      return <StartDialog form={change.form} onClose={changes.close} />;
    case "move":
      return <MoveDialog form={change.form} changes={changes} job={props.job} />;
    case "duplicate":
      return (
        <DuplicateDialog
          form={change.form}
          changes={changes}
          job={props.job}
          mayAdminister={props.mayAdminister}
        />
      );
  }
}

function StartDialog({ form, onClose }: { form: Form<StartValues>; onClose: () => void }) {
  const { date, time } = form.values.value;
  return (
    <Dialog title={texts.changeTheStart} testId="start-dialog" onClose={onClose}>
      <FormFrame form={form} onCancel={onClose} submitText={texts.save} submitTestId="save-start">
        <div class="field-pair">
          <TextField
            name="date"
            label={texts.day}
            type="date"
            testId="start-date"
            value={date}
            error={faultAt(form.errors.value, "date") ?? faultAt(form.errors.value, "startAt")}
            onInput={(value) => form.set("date", value)}
          />
          <TextField
            name="time"
            label={texts.time}
            type="time"
            testId="start-time"
            value={time}
            error={faultAt(form.errors.value, "time")}
            onInput={(value) => form.set("time", value)}
          />
        </div>
        <p class="field-hint">{texts.yourOwnTimeZone}</p>
      </FormFrame>
    </Dialog>
  );
}

function AgentField(props: {
  changes: JobChanges;
  value: string;
  except: string | null;
  error: string | null;
  onInput: (id: string) => void;
}) {
  const agents = props.changes.agents.value.filter(({ id }) => id !== props.except);
  const isEmpty = agents.length === 0;
  return (
    <SelectField
      name="agentId"
      label={texts.agent}
      testId="change-agent"
      value={isEmpty ? "" : props.value}
      placeholder={isEmpty ? texts.noOtherAgent : texts.chooseAnAgent}
      disabled={isEmpty}
      error={props.changes.agentsFailed.value ? texts.agentsCannotListedJust : props.error}
      options={agents.map((agent) => ({ value: agent.id, text: agentText(agent) }))}
      onInput={props.onInput}
    />
  );
}

function agentText({ name, status }: Agent): string {
  return status === "online" ? name : `${name} (${AGENT_STATUS_WORDS[status].text.toLowerCase()})`;
}

function MoveDialog({ form, changes, job }: { form: Form<MoveValues>; changes: JobChanges; job: Job }) {
  return (
    <Dialog title={texts.moveToAnotherAgent} testId="move-dialog" onClose={changes.close}>
      <p class="dialog-text">
        {texts.jobHasNotBegun}
        {job.agentName}
        {texts.otherAgentReadsSame} <FileName name={job.config.source.path} />
      </p>
      <FormFrame form={form} onCancel={changes.close} submitText={texts.move} submitTestId="save-move">
        <AgentField
          changes={changes}
          value={form.values.value.agentId}
          except={job.agentId}
          error={faultAt(form.errors.value, "agentId")}
          onInput={(id) => form.set("agentId", id)}
        />
      </FormFrame>
    </Dialog>
  );
}

function DuplicateDialog(props: {
  form: Form<DuplicateValues>;
  changes: JobChanges;
  job: Job;
  mayAdminister: boolean;
}) {
  const { form, changes, job } = props;
  const { deletion } = job.config.options;
  const values = form.values.value;
  if (deletion !== null && !props.mayAdminister) {
    return (
      <Dialog title={texts.duplicateThisJob} testId="duplicate-dialog" onClose={changes.close}>
        <Notice tone="warning">{texts.jobRemovesSourceFiles}</Notice>
      </Dialog>
    );
  }
  return (
    <Dialog title={texts.duplicateThisJob} testId="duplicate-dialog" onClose={changes.close}>
      <p class="dialog-text">{texts.makesAnotherJobSame}</p>
      <FormFrame
        form={form}
        onCancel={changes.close}
        submitText={texts.makeJob}
        submitTestId="save-duplicate"
      >
        <TextField
          name="name"
          label={texts.name}
          testId="duplicate-name"
          value={values.name}
          error={faultAt(form.errors.value, "name")}
          onInput={(value) => form.set("name", value)}
        />
        <AgentField
          changes={changes}
          value={values.agentId}
          except={null}
          error={faultAt(form.errors.value, "agentId")}
          onInput={(id) => form.set("agentId", id)}
        />
        <TextField
          name="destination.prefix"
          label={texts.destinationFolder}
          optional
          hint={texts.twoJobsNotFinished}
          mono
          testId="duplicate-prefix"
          value={values.prefix}
          error={faultAt(form.errors.value, "destination.prefix")}
          onInput={(value) => form.set("prefix", value)}
        />
        {deletion !== null && (
          <TextField
            name="confirmDeletionOf"
            label={texts.sourcePathSure}
            hint={texts.sourceFilesWillRemoved(job.config.source.path)}
            mono
            testId="duplicate-confirm"
            value={values.confirmDeletionOf}
            error={faultAt(form.errors.value, "confirmDeletionOf")}
            onInput={(value) => form.set("confirmDeletionOf", value)}
          />
        )}
      </FormFrame>
    </Dialog>
  );
}
