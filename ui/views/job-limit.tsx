/** The limit of a job's line: what holds, and changing it while the job runs. */
import type { Job } from "../../schema/api.ts";
import { Button } from "../components/button.tsx";
import { TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { type Form, faultAt } from "../models/form.ts";
import type { JobPageModel, LimitValues } from "../models/job.ts";
import { limitOf } from "../models/job-line.ts";
import { lineText } from "./job-standing.ts";
import { scheduleText } from "./schedule-text.ts";
import { jobLimit as texts } from "../texts/job.ts";

export function JobLimit(props: {
  model: JobPageModel;
  job: Job;
  nowMs: number;
  timeZone: string;
  mayChange: boolean;
}) {
  const { model, job, nowMs, mayChange } = props;
  const form = model.limitForm.value;
  if (form !== null) return <LimitForm form={form} job={job} onCancel={model.cancelEditLimit} />;
  const { schedule, options } = job.config;
  const place = { nowMs, timeZone: schedule?.timeZone ?? null, reader: { timeZone: props.timeZone } };
  return (
    <div class="limit">
      <span>
        <span class="limit-name muted">{texts.bandwidth}</span>
        <span data-testid="job-limit">{lineText(limitOf(job.config, nowMs), place)}</span>
        {model.limitIsPending.value && <span class="muted">{texts.wayAgent}</span>}
        {schedule !== null && options.bandwidthMbps === null && (
          <span class="limit-schedule muted">
            {texts.schedule}
            {scheduleText(schedule)}
          </span>
        )}
      </span>
      {mayChange && (
        <Button look="quiet" testId="edit-limit" onPress={model.editLimit}>
          {texts.change}
        </Button>
      )}
    </div>
  );
}

function LimitForm(props: { form: Form<LimitValues>; job: Job; onCancel: () => void }) {
  const { form, job } = props;
  return (
    <div class="limit limit-form">
      <FormFrame form={form} submitText={texts.save} submitTestId="save-limit" onCancel={props.onCancel}>
        <TextField
          name="bandwidthMbps"
          label={texts.bandwidthLimit}
          optional
          inputMode="decimal"
          unit={texts.mbps}
          placeholder={texts.none}
          hint={job.config.schedule ? texts.overridesProjectsScheduleAll : texts.allJobsAgentTogether}
          testId="limit-mbps"
          value={form.values.value.bandwidthMbps}
          error={faultAt(form.errors.value, "bandwidthMbps")}
          onInput={(value) => form.set("bandwidthMbps", value)}
        />
      </FormFrame>
    </div>
  );
}
