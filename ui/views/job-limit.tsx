/** The limit of a job's line: what holds, and changing it while the job runs. */
import type { Job } from "../../schema/api.ts";
import { Button } from "../components/button.tsx";
import { TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { formatMegabits } from "../format.ts";
import { type Form, faultAt } from "../models/form.ts";
import type { JobPageModel, LimitValues } from "../models/job.ts";
import { scheduleText } from "./schedule-text.ts";

export function JobLimit({ model, job, mayChange }: { model: JobPageModel; job: Job; mayChange: boolean }) {
  const form = model.limitForm.value;
  if (form !== null) return <LimitForm form={form} job={job} onCancel={model.cancelEditLimit} />;
  return (
    <div class="limit">
      <span>
        <span class="muted">Bandwidth limit</span> <span data-testid="job-limit">{limitText(job)}</span>
        {model.limitIsPending.value && <span class="muted"> · on its way to the agent…</span>}
      </span>
      {mayChange && (
        <Button look="quiet" testId="edit-limit" onPress={model.editLimit}>
          Change
        </Button>
      )}
    </div>
  );
}

function LimitForm(props: { form: Form<LimitValues>; job: Job; onCancel: () => void }) {
  const { form, job } = props;
  return (
    <div class="limit limit-form">
      <FormFrame
        problem={form.problem.value}
        refusals={form.refusals.value}
        saving={form.saving.value}
        submitText="Save"
        submitTestId="save-limit"
        onSubmit={() => void form.submit()}
        onCancel={props.onCancel}
      >
        <TextField
          name="bandwidthMbps"
          label="Bandwidth limit"
          optional
          inputMode="decimal"
          unit="Mbps"
          placeholder="None"
          hint={
            job.config.schedule
              ? "Overrides the project's schedule, for all jobs of this agent together, while this job runs. Empty: the schedule holds."
              : "For all jobs of this agent together, while this job runs. Empty: no limit."
          }
          testId="limit-mbps"
          value={form.values.value.bandwidthMbps}
          error={faultAt(form.errors.value, "bandwidthMbps")}
          onInput={(value) => form.set("bandwidthMbps", value)}
        />
      </FormFrame>
    </div>
  );
}

function limitText({ config }: Job): string {
  if (config.options.bandwidthMbps) return formatMegabits(config.options.bandwidthMbps);
  return config.schedule ? `by schedule: ${scheduleText(config.schedule)}` : "none";
}
