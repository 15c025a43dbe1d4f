/** The steps of a job in a row, with the one it is at. */
import { Icon } from "../components/icon.tsx";
import type { JobStatus } from "../../schema/job.ts";
import type { Step, StepName } from "../models/job-steps.ts";
import { jobStepBar as texts } from "../texts/job.ts";

const NAMES: Readonly<Record<StepName, string>> = {
  scan: texts.scan,
  upload: texts.upload,
  verify: texts.verify,
  remove: texts.remove,
  next_pass: texts.nextPass,
  done: texts.done,
};

/** What a screen reader hears when the job comes to it. */
const DOING: Readonly<Record<StepName, string>> = {
  scan: texts.lookingThroughTheSource,
  upload: "uploading",
  verify: texts.verifyingWhatArrived,
  remove: texts.removingSourceFilesArrived,
  next_pass: texts.waitingNextPass,
  done: "",
};

const STATES: Readonly<Record<Step["state"], string>> = {
  done: texts.done2,
  current: texts.underWay,
  waiting: texts.toCome,
  stopped: texts.endedHere,
};

export function stepWords(steps: readonly Step[]): string {
  const at = steps.find(({ state }) => state === "current");
  return at === undefined ? "" : DOING[at.name];
}

export function StepBar({ steps, status }: { steps: readonly Step[]; status: JobStatus }) {
  return (
    <ol
      class={status === "failed" ? "steps steps-failed" : "steps"}
      aria-label={texts.steps}
      data-testid="job-steps"
    >
      {steps.map(({ name, state }) => (
        <li
          key={name}
          class={`steps-one steps-${state}`}
          aria-current={state === "current" ? "step" : undefined}
          data-testid={`step-${name}`}
          data-state={state}
        >
          <span class="steps-mark" aria-hidden="true">
            {state === "done" && <Icon name="check" size={12} />}
            {state === "stopped" && <Icon name="close" size={12} />}
          </span>
          <span>{NAMES[name]}</span>
          <span class="unseen">, {STATES[state]}</span>
        </li>
      ))}
    </ol>
  );
}
