/** The folded parts of the form that makes a job. Closed they say in a few words how they stand. */
import { CheckField, SelectField, TextAreaField, TextField } from "../components/field.tsx";
import { Fold } from "../components/fold.tsx";
import { Notice } from "../components/loaded.tsx";
import {
  ACCESS_TIERS,
  ARCHIVED_RULES,
  CHUNK_MIB,
  CONCURRENCY,
  EXISTING_RULES,
  READBACK_PERCENT,
  RETENTION_DAYS,
} from "../contract.ts";
import { formatCountOf, formatMegabits } from "../format.ts";
import { faultAt } from "../models/form.ts";
import type { JobFormModel, JobValues } from "../models/job-form.ts";
import { megabitsOf } from "../models/megabits.ts";
import { ARCHIVED_WORDS, EXISTING_WORDS, TIER_WORDS } from "../words.ts";
import { STAY_DAYS_MIN } from "./job-plan.ts";
import { scheduleText } from "./schedule-text.ts";

export function JobOptions({ model, mayDelete }: { model: JobFormModel; mayDelete: boolean }) {
  return (
    <section class="card card-flush folds" data-testid="job-options">
      <PlaceFields model={model} />
      <FilterFields model={model} />
      <LineFields model={model} />
      <ExistingFields model={model} />
      <ProofFields model={model} />
      {mayDelete && <DeletionFields model={model} />}
    </section>
  );
}

function PlaceFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const storage = model.project.value?.storage ?? null;
  const changed = values.prefix !== null || values.tier !== null;
  return (
    <Fold
      title="Folder and tier"
      testId="job-place"
      summary={changed ? "Not as in the project" : "As in the project"}
    >
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
    </Fold>
  );
}

function LineFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const schedule = model.project.value?.bandwidthSchedule ?? null;
  const limit = megabitsOf(values.bandwidthMbps);
  const pace =
    typeof limit === "number"
      ? `At most ${formatMegabits(limit)}`
      : schedule
        ? "By the project's schedule"
        : "No limit";
  return (
    <Fold
      title="Line"
      testId="job-line"
      summary={`${pace} · ${values.concurrency} streams · ${values.chunkSizeMiB} MiB`}
    >
      <TextField
        name="options.bandwidthMbps"
        label="Bandwidth limit"
        optional
        inputMode="decimal"
        unit="Mbps"
        placeholder="None"
        hint="While this job runs it holds for all jobs of this agent together. It can be changed at any time."
        testId="job-bandwidth"
        value={values.bandwidthMbps}
        error={faultAt(errors, "options.bandwidthMbps")}
        onInput={(value) => form.set("bandwidthMbps", value)}
      />
      {schedule && (
        <Notice tone="neutral" testId="job-schedule">
          {typeof limit === "number"
            ? "Overrides the project's schedule: "
            : "Without a limit here, the project's schedule holds: "}
          {scheduleText(schedule)}.
        </Notice>
      )}
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
    </Fold>
  );
}

function ExistingFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <Fold title="What is there already" testId="job-there" summary={EXISTING_WORDS[values.existing]}>
      <SelectField
        name="options.existing"
        label={
          model.effective.value.repeats
            ? "A file whose name others have taken at the destination"
            : "A file whose name is already taken at the destination"
        }
        hint={
          model.effective.value.repeats
            ? "What an earlier pass wrote is kept up to date in any case."
            : undefined
        }
        testId="job-existing"
        value={values.existing}
        options={EXISTING_RULES.map((rule) => ({ value: rule, text: EXISTING_WORDS[rule] }))}
        error={faultAt(errors, "options.existing")}
        onInput={(value) => form.set("existing", value)}
      />
      {model.effective.value.replaces && (
        <SelectField
          name="options.archived"
          label="What lies there in the Archive tier"
          hint="Azure cannot overwrite what is in the Archive tier."
          testId="job-archived"
          value={values.archived}
          options={ARCHIVED_RULES.map((rule) => ({ value: rule, text: ARCHIVED_WORDS[rule] }))}
          error={faultAt(errors, "options.archived")}
          onInput={(value) => form.set("archived", value)}
        />
      )}
      {model.effective.value.archived === "replace" && (
        <Notice tone="warning" testId="archived-warning">
          Azure charges an early deletion fee for whatever has been in the Archive tier for less than{" "}
          {STAY_DAYS_MIN.Archive} days: the storage of the days that are left.
        </Notice>
      )}
    </Fold>
  );
}

function ProofFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const tier = model.destination.value?.tier ?? "Hot";
  const percent = model.effective.value.readbackPercent;
  return (
    <Fold title="Proof" testId="job-proof" summary={proofSummary(values, percent)}>
      <CheckField
        name="options.verify"
        label="Verify integrity"
        hint="After the upload the storage service is asked what it holds, and each file is compared."
        testId="job-verify"
        checked={values.verify}
        onInput={(checked) => form.set("verify", checked)}
      />
      <TextField
        name="options.readbackPercent"
        label="Read back"
        type="number"
        unit="%"
        min={READBACK_PERCENT.min}
        max={READBACK_PERCENT.max}
        disabled={!values.verify}
        hint={
          values.verify
            ? "So many of the files, spread evenly, are downloaded whole and hashed again. 0 = none, 100 = every file."
            : "Needs Verify integrity."
        }
        testId="job-readback"
        value={values.verify ? values.readbackPercent : "0"}
        error={faultAt(errors, "options.readbackPercent")}
        onInput={(value) => form.set("readbackPercent", value)}
      />
      {percent !== null && percent > 0 && (
        <Notice tone="neutral" testId="readback-note">
          It takes the line a second time, and Azure charges for data that leaves it.
          {(tier === "Cool" || tier === "Cold") && ` Reading from the ${tier} tier costs extra for every GB.`}
          {tier === "Archive" &&
            " What is in the Archive tier cannot be read, so files are read back first and moved to Archive afterwards."}
        </Notice>
      )}
    </Fold>
  );
}

function proofSummary({ verify }: JobValues, percent: number | null): string {
  if (!verify) return "Not verified";
  if (percent === null || percent === 0) return "Verified";
  return percent === 100 ? "Verified, all read back" : `Verified, ${percent}% read back`;
}

function DeletionFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  return (
    <Fold title="Afterwards" testId="job-afterwards" summary={deletionSummary(model)}>
      <CheckField
        name="options.deletion"
        label="Remove source files that are proved to have arrived"
        hint={deletionHint(model)}
        disabled={!values.verify || model.effective.value.repeats}
        testId="job-deletes"
        checked={model.effective.value.deletes}
        onInput={(checked) => form.set("deletes", checked)}
      />
      {model.effective.value.deletes && <DeletionDetails model={model} />}
    </Fold>
  );
}

function deletionHint({ form, effective }: JobFormModel): string {
  if (effective.value.repeats) return "Not in a sync: it needs its source as it is.";
  if (!form.values.value.verify) return "Needs Verify integrity, under Proof.";
  return "File by file, and only if it is still the file that was read. The agent must allow it for this folder, too.";
}

function DeletionDetails({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <>
      <CheckField
        name="options.deletion.dryRun"
        label="Dry run"
        hint="Only says what would be removed."
        testId="job-deletion-dry-run"
        checked={values.deletionDryRun}
        onInput={(checked) => form.set("deletionDryRun", checked)}
      />
      <div class="field-pair">
        <TextField
          name="options.deletion.retentionDays"
          label="Days in quarantine"
          type="number"
          unit="days"
          min={RETENTION_DAYS.min}
          max={RETENTION_DAYS.max}
          hint="A folder on the same disk, from which files can be taken back. 0 = none: gone at the end of the job."
          testId="job-retention-days"
          value={values.retentionDays}
          error={faultAt(errors, "options.deletion.retentionDays")}
          onInput={(value) => form.set("retentionDays", value)}
        />
        <TextField
          name="options.deletion.filesMax"
          label="At most"
          optional
          inputMode="numeric"
          unit="files"
          placeholder="All"
          testId="job-deletion-files-max"
          value={values.deletionFilesMax}
          error={faultAt(errors, "options.deletion.filesMax")}
          onInput={(value) => form.set("deletionFilesMax", value)}
        />
      </div>
      {!values.deletionDryRun && values.retentionDays.trim() === "0" && (
        <Notice tone="warning">Without days in quarantine nobody can take a file back.</Notice>
      )}
      <TextField
        name="confirmDeletionOf"
        label="Type the source folder once more"
        hint="So that the right folder is meant."
        mono
        testId="job-confirm-deletion"
        value={values.confirmDeletionOf}
        error={faultAt(errors, "confirmDeletionOf")}
        onInput={(value) => form.set("confirmDeletionOf", value)}
      />
    </>
  );
}

function deletionSummary(model: JobFormModel): string {
  const values = model.form.values.value;
  if (!model.effective.value.deletes) return "The source stays as it is";
  if (values.deletionDryRun) return "Dry run of removing source files";
  const days = Number(values.retentionDays);
  if (days === 0) return "Source files are deleted for good";
  return `Source files go into quarantine${days > 0 ? ` for ${formatCountOf(days, "day")}` : ""}`;
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
    <Fold
      title="Filters"
      testId="job-filters"
      summary={used === 0 ? "Everything in the folder" : `${used} set`}
    >
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
    </Fold>
  );
}
