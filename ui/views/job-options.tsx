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
import { jobOptions as texts } from "../texts/job-form.ts";

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
      title={texts.folderAndTier}
      testId="job-place"
      summary={changed ? texts.notAsProject : texts.asInTheProject}
    >
      <div class="field-pair">
        <TextField
          name="destination.prefix"
          label={texts.folderInTheContainer}
          hint={texts.asProjectUnlessChanged}
          testId="job-prefix"
          value={values.prefix ?? storage?.prefix ?? ""}
          error={faultAt(errors, "destination.prefix")}
          onInput={(value) => form.set("prefix", value)}
        />
        <SelectField
          name="destination.tier"
          label={texts.tier}
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
      ? texts.atMost(formatMegabits(limit))
      : schedule
        ? texts.byTheProjectsSchedule
        : texts.noLimit;
  return (
    <Fold
      title={texts.line}
      testId="job-line"
      summary={texts.streamsMib(pace, values.concurrency, values.chunkSizeMiB)}
    >
      <TextField
        name="options.bandwidthMbps"
        label={texts.bandwidthLimit}
        optional
        inputMode="decimal"
        unit={texts.mbps}
        placeholder={texts.none}
        hint={texts.whileJobRunsHolds}
        testId="job-bandwidth"
        value={values.bandwidthMbps}
        error={faultAt(errors, "options.bandwidthMbps")}
        onInput={(value) => form.set("bandwidthMbps", value)}
      />
      {schedule && (
        <Notice tone="neutral" testId="job-schedule">
          {typeof limit === "number"
            ? texts.scheduleOverridden(scheduleText(schedule))
            : texts.scheduleHolds(scheduleText(schedule))}
        </Notice>
      )}
      <div class="field-pair">
        <TextField
          name="options.concurrency"
          label={texts.parallelStreams}
          type="number"
          min={CONCURRENCY.min}
          max={CONCURRENCY.max}
          hint={texts.to(CONCURRENCY.min, CONCURRENCY.max)}
          testId="job-concurrency"
          value={values.concurrency}
          error={faultAt(errors, "options.concurrency")}
          onInput={(value) => form.set("concurrency", value)}
        />
        <TextField
          name="options.chunkSizeMiB"
          label={texts.chunkSize}
          type="number"
          unit={texts.mib}
          min={CHUNK_MIB.min}
          max={CHUNK_MIB.max}
          hint={texts.raisedItselfVeryLarge}
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
    <Fold title={texts.whatIsThereAlready} testId="job-there" summary={EXISTING_WORDS[values.existing]}>
      <SelectField
        name="options.existing"
        label={model.effective.value.repeats ? texts.fileWhoseNameOthers : texts.fileWhoseNameAlready}
        hint={model.effective.value.repeats ? texts.whatEarlierPassWrote : undefined}
        testId="job-existing"
        value={values.existing}
        options={EXISTING_RULES.map((rule) => ({ value: rule, text: EXISTING_WORDS[rule] }))}
        error={faultAt(errors, "options.existing")}
        onInput={(value) => form.set("existing", value)}
      />
      {model.effective.value.replaces && (
        <SelectField
          name="options.archived"
          label={texts.whatLiesThereArchive}
          hint={texts.azureCannotOverwriteWhat}
          testId="job-archived"
          value={values.archived}
          options={ARCHIVED_RULES.map((rule) => ({ value: rule, text: ARCHIVED_WORDS[rule] }))}
          error={faultAt(errors, "options.archived")}
          onInput={(value) => form.set("archived", value)}
        />
      )}
      {model.effective.value.archived === "replace" && (
        <Notice tone="warning" testId="archived-warning">
          {texts.earlyDeletionFee(STAY_DAYS_MIN.Archive)}
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
    <Fold title={texts.proof} testId="job-proof" summary={proofSummary(values, percent)}>
      <CheckField
        name="options.verify"
        label={texts.verifyIntegrity}
        hint={texts.afterUploadStorageService}
        testId="job-verify"
        checked={values.verify}
        onInput={(checked) => form.set("verify", checked)}
      />
      <TextField
        name="options.readbackPercent"
        label={texts.readBack}
        type="number"
        unit="%"
        min={READBACK_PERCENT.min}
        max={READBACK_PERCENT.max}
        disabled={!values.verify}
        hint={values.verify ? texts.soManyFilesSpread : texts.needsVerifyIntegrity}
        testId="job-readback"
        value={values.verify ? values.readbackPercent : "0"}
        error={faultAt(errors, "options.readbackPercent")}
        onInput={(value) => form.set("readbackPercent", value)}
      />
      {percent !== null && percent > 0 && (
        <Notice tone="neutral" testId="readback-note">
          {texts.takesLineSecondTime}
          {(tier === "Cool" || tier === "Cold") && ` ${texts.readingFromTierCosts(tier)}`}
          {tier === "Archive" && ` ${texts.whatArchiveTierCannot}`}
        </Notice>
      )}
    </Fold>
  );
}

function proofSummary({ verify }: JobValues, percent: number | null): string {
  if (!verify) return texts.notVerified;
  if (percent === null || percent === 0) return texts.verified;
  return percent === 100 ? texts.verifiedAllReadBack : texts.verifiedReadBack(percent);
}

function DeletionFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  return (
    <Fold title={texts.afterwards} testId="job-afterwards" summary={deletionSummary(model)}>
      <CheckField
        name="options.deletion"
        label={texts.removeSourceFilesProved}
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
  if (effective.value.repeats) return texts.notSyncNeedsSource;
  if (!form.values.value.verify) return texts.needsVerifyIntegrityUnder;
  return texts.fileFileOnlyIf;
}

function DeletionDetails({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <>
      <CheckField
        name="options.deletion.dryRun"
        label={texts.dryRun}
        hint={texts.onlySaysWhatWould}
        testId="job-deletion-dry-run"
        checked={values.deletionDryRun}
        onInput={(checked) => form.set("deletionDryRun", checked)}
      />
      <div class="field-pair">
        <TextField
          name="options.deletion.retentionDays"
          label={texts.daysInQuarantine}
          type="number"
          unit="days"
          min={RETENTION_DAYS.min}
          max={RETENTION_DAYS.max}
          hint={texts.folderSameDiskFrom}
          testId="job-retention-days"
          value={values.retentionDays}
          error={faultAt(errors, "options.deletion.retentionDays")}
          onInput={(value) => form.set("retentionDays", value)}
        />
        <TextField
          name="options.deletion.filesMax"
          label={texts.filesMax}
          optional
          inputMode="numeric"
          unit="files"
          placeholder={texts.all}
          testId="job-deletion-files-max"
          value={values.deletionFilesMax}
          error={faultAt(errors, "options.deletion.filesMax")}
          onInput={(value) => form.set("deletionFilesMax", value)}
        />
      </div>
      {!values.deletionDryRun && values.retentionDays.trim() === "0" && (
        <Notice tone="warning">{texts.withoutDaysQuarantineNobody}</Notice>
      )}
      <TextField
        name="confirmDeletionOf"
        label={texts.typeSourceFolderOnce}
        hint={texts.soRightFolderMeant}
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
  if (!model.effective.value.deletes) return texts.sourceStaysAs;
  if (values.deletionDryRun) return texts.dryRunRemovingSource;
  const days = Number(values.retentionDays);
  if (days === 0) return texts.sourceFilesDeletedGood;
  return days > 0 ? texts.quarantinedFor(formatCountOf(days, "day")) : texts.quarantined;
}

function FilterFields({ model }: { model: JobFormModel }) {
  const { form } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const given = [
    values.include,
    values.exclude,
    values.modifiedAfter,
    values.modifiedBefore,
    values.sizeMin,
    values.sizeMax,
  ];
  const used = given.filter((text) => text.trim() !== "").length;
  return (
    <Fold
      title={texts.filters}
      testId="job-filters"
      summary={used === 0 ? texts.everythingInTheFolder : texts.set(used)}
    >
      <div class="field-pair">
        <TextAreaField
          name="options.filters.include"
          label={texts.onlyThese}
          optional
          rows={4}
          mono
          hint={texts.onePatternPerLine}
          placeholder={"*.pdf\nProjects/2024/**"}
          testId="job-include"
          value={values.include}
          error={faultAt(errors, "options.filters.include")}
          onInput={(value) => form.set("include", value)}
        />
        <TextAreaField
          name="options.filters.exclude"
          label={texts.notThese}
          optional
          rows={4}
          mono
          hint={texts.onePatternPerLineFile}
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
          label={texts.modifiedOnOrAfter}
          optional
          type="date"
          testId="job-modified-after"
          value={values.modifiedAfter}
          error={faultAt(errors, "options.filters.modifiedAfter")}
          onInput={(value) => form.set("modifiedAfter", value)}
        />
        <TextField
          name="options.filters.modifiedBefore"
          label={texts.modifiedBefore}
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
          label={texts.sizeMin}
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
          label={texts.sizeMax}
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
