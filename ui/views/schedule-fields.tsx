/** When a project's line may be used how much. */
import { useMemo } from "preact/hooks";
import { Button } from "../components/button.tsx";
import { TextField } from "../components/field.tsx";
import { Card } from "../components/page.tsx";
import { WEEKDAYS, WINDOWS_MAX } from "../contract.ts";
import { faultAt } from "../models/form.ts";
import type { ProjectFormModel } from "../models/project-form.ts";
import { newWindow, type ScheduleValues, toggleDay, type WindowValues } from "../models/schedule.ts";
import { WEEKDAY_WORDS } from "../words.ts";
import { scheduleFields as texts } from "../texts/job-form.ts";

export function ScheduleFields({ model }: { model: ProjectFormModel }) {
  const { schedule } = model.form.values.value;
  return (
    <Card
      title={texts.bandwidthSchedule}
      testId="schedule"
      actions={
        schedule === null ? (
          <Button icon="plus" testId="schedule-add" onPress={model.addSchedule}>
            {texts.addSchedule}
          </Button>
        ) : (
          <Button look="quiet" testId="schedule-remove" onPress={() => model.form.set("schedule", null)}>
            {texts.removeSchedule}
          </Button>
        )
      }
    >
      {schedule === null ? (
        <p class="muted">{texts.noneJobsProjectUse}</p>
      ) : (
        <ScheduleEditor model={model} schedule={schedule} />
      )}
    </Card>
  );
}

function ScheduleEditor({ model, schedule }: { model: ProjectFormModel; schedule: ScheduleValues }) {
  const errors = model.form.errors.value;
  const timeZones = useMemo(() => Intl.supportedValuesOf("timeZone"), []);
  const setWindow = (index: number, change: Partial<WindowValues>) =>
    model.setSchedule({
      windows: schedule.windows.map((window, at) => (at === index ? { ...window, ...change } : window)),
    });
  return (
    <>
      {schedule.windows.map((window, index) => (
        <WindowFields
          key={index}
          model={model}
          window={window}
          index={index}
          onChange={(change) => setWindow(index, change)}
          onRemove={
            schedule.windows.length === 1
              ? null
              : () => model.setSchedule({ windows: schedule.windows.filter((_, at) => at !== index) })
          }
        />
      ))}
      {schedule.windows.length < WINDOWS_MAX && (
        <div>
          <Button
            look="quiet"
            icon="plus"
            testId="window-add"
            onPress={() => model.setSchedule({ windows: [...schedule.windows, newWindow()] })}
          >
            {texts.anotherWindow}
          </Button>
        </div>
      )}
      <div class="field-pair">
        <TextField
          name="bandwidthSchedule.insideMbps"
          label={texts.withinTheseTimes}
          optional
          inputMode="decimal"
          unit={texts.mbps}
          placeholder={texts.fullSpeed}
          hint={texts.emptyAsFastAs}
          testId="schedule-inside"
          value={schedule.insideMbps}
          error={faultAt(errors, "bandwidthSchedule.insideMbps")}
          onInput={(value) => model.setSchedule({ insideMbps: value })}
        />
        <TextField
          name="bandwidthSchedule.outsideMbps"
          label={texts.atAllOtherTimes}
          optional
          inputMode="decimal"
          unit={texts.mbps}
          placeholder={texts.fullSpeed}
          hint={texts.allJobsAgentTogether}
          testId="schedule-outside"
          value={schedule.outsideMbps}
          error={faultAt(errors, "bandwidthSchedule.outsideMbps")}
          onInput={(value) => model.setSchedule({ outsideMbps: value })}
        />
      </div>
      <TextField
        name="bandwidthSchedule.timeZone"
        label={texts.timeZoneSite}
        suggestions={timeZones}
        testId="schedule-time-zone"
        value={schedule.timeZone}
        error={faultAt(errors, "bandwidthSchedule.timeZone")}
        onInput={(value) => model.setSchedule({ timeZone: value })}
      />
    </>
  );
}

function WindowFields(props: {
  model: ProjectFormModel;
  window: WindowValues;
  index: number;
  onChange: (change: Partial<WindowValues>) => void;
  /** Null for the only one. */
  onRemove: (() => void) | null;
}) {
  const { window, index } = props;
  const errors = props.model.form.errors.value;
  const path = `bandwidthSchedule.windows.${index}`;
  const daysFault = faultAt(errors, `${path}.days`);
  return (
    <div class="window" data-testid="schedule-window">
      <fieldset class="days" aria-label={texts.daysWhichBegins}>
        {WEEKDAYS.map((day) => (
          <label key={day} class={window.days.includes(day) ? "day day-on" : "day"}>
            <input
              type="checkbox"
              checked={window.days.includes(day)}
              aria-invalid={daysFault !== null}
              data-testid={`window-${index}-${day}`}
              onChange={() => props.onChange({ days: toggleDay(window.days, day) })}
            />
            {WEEKDAY_WORDS[day]}
          </label>
        ))}
      </fieldset>
      {daysFault !== null && <p class="field-error">{daysFault}</p>}
      <div class="window-times">
        <TextField
          name={`${path}.from`}
          label={texts.from}
          type="time"
          testId={`window-${index}-from`}
          value={window.from}
          error={faultAt(errors, `${path}.from`)}
          onInput={(value) => props.onChange({ from: value })}
        />
        <TextField
          name={`${path}.to`}
          label={window.to < window.from ? texts.nextDay : texts.to}
          type="time"
          testId={`window-${index}-to`}
          value={window.to}
          error={faultAt(errors, `${path}.to`)}
          onInput={(value) => props.onChange({ to: value })}
        />
        {props.onRemove && (
          <Button look="quiet" testId={`window-${index}-remove`} onPress={props.onRemove}>
            {texts.remove}
          </Button>
        )}
      </div>
    </div>
  );
}
