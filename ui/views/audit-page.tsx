import type { AuditEntry, AuditHead } from "../../schema/audit.ts";
import { Button } from "../components/button.tsx";
import { CopyButton } from "../components/copy-button.tsx";
import type { Column } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { SelectField, TextField } from "../components/field.tsx";
import { FileName } from "../components/file-name.tsx";
import { Fold } from "../components/fold.tsx";
import { formatCount, formatDateTime, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { type AuditModel, createAudit, TABLE_ROWS_MAX } from "../models/audit.ts";
import { pathOf } from "../models/router.ts";
import { AUDIT_EXPORT_PATH } from "../settings-api.ts";
import { ACTION_WORDS, actionWords, actorWords, auditTable, detailWords, placeOf } from "./audit-words.ts";
import { ListCard } from "./list-card.tsx";
import { saveText } from "./save-text.ts";
import { SettingsPart } from "./settings-part.tsx";
import { usePageModel } from "./use-page-model.ts";
import { auditPage as texts } from "../texts/audit.ts";

export function AuditPage({ app }: { app: App }) {
  return (
    <SettingsPart app={app} title={texts.auditLog} lead={texts.everythingChangedWhomWhen} forAdmins>
      {() => <Audit app={app} />}
    </SettingsPart>
  );
}

function Audit({ app }: { app: App }) {
  const model = usePageModel(() => createAudit(app));
  const takeTable = async () => {
    const rows = await model.collect();
    if (rows === null) return;
    saveText(
      `audit-${new Date(app.clock.now()).toISOString().slice(0, 10)}.csv`,
      auditTable(rows, model.names.value),
    );
    if (rows.length === TABLE_ROWS_MAX) {
      app.toasts.show("danger", texts.tableEndsAfterEntries(formatCount(TABLE_ROWS_MAX)));
    }
  };
  return (
    <>
      <Seal app={app} head={model.head.value} />
      <ListCard
        label={texts.auditLog}
        title={texts.entries}
        testId="audit"
        list={model.list}
        columns={columnsFor(model)}
        actions={
          <span class="row-actions">
            <Button testId="audit-csv" busy={model.collecting.value} onPress={() => void takeTable()}>
              {texts.exportCsv}
            </Button>
          </span>
        }
        empty={
          <EmptyState
            icon="file"
            title={model.isFiltered.value ? texts.nothingFits : texts.noEntriesYet}
            action={model.isFiltered.value && <Button onPress={model.clear}>{texts.showEverything}</Button>}
          >
            {model.isFiltered.value ? texts.noEntryPageLog : texts.whateverSomebodyChangesWritten}
          </EmptyState>
        }
      >
        <Filters model={model} />
      </ListCard>
    </>
  );
}

function Seal({ app, head }: { app: App; head: AuditHead | null }) {
  const summary =
    head === null
      ? "…"
      : head.number === 0
        ? texts.noEntryYet
        : texts.sealedUpToEntry(formatCount(head.number));
  return (
    <section class="card card-flush folds">
      <Fold
        title={texts.proof}
        summary={<span data-testid="audit-head">{summary}</span>}
        testId="audit-proof"
      >
        <p class="muted">{texts.eachEntryCarriesFingerprint}</p>
        <ol class="steps-text">
          <li>
            {texts.keepNewestFingerprintSomewhere}
            {head !== null && head.number > 0 && (
              <>
                <output class="command digest" aria-label={texts.newestFingerprint} data-testid="audit-hash">
                  {head.hash}
                </output>
                <CopyButton
                  text={head.hash}
                  label={texts.copyFingerprint}
                  copy={app.copy}
                  testId="copy-audit-hash"
                />
              </>
            )}
          </li>
          <li>
            {texts.laterTakeWholeLog}
            <span class="card-text">
              <a class="button button-plain" href={AUDIT_EXPORT_PATH} download="" data-testid="audit-export">
                {texts.exportSealedFileJson}
              </a>
            </span>
          </li>
          <li>
            {texts.checkToolComesProduct}
            <pre class="command" tabIndex={0}>
              npm run audit:verify -- audit.jsonl --head &lt;fingerprint&gt;
            </pre>
          </li>
        </ol>
      </Fold>
    </section>
  );
}

const ACTION_OPTIONS = [
  { value: "all", text: texts.everything },
  ...Object.entries(ACTION_WORDS)
    .map(([value, text]) => ({ value, text }))
    .toSorted((one, other) => one.text.localeCompare(other.text)),
];

function Filters({ model }: { model: AuditModel }) {
  const choice = model.choice.value;
  const chosen = (value: string) => (value === "" ? "all" : value);
  const meant = (value: string) => (value === "all" ? "" : value);
  return (
    <div class="filters" role="search" aria-label={texts.lookForEntries}>
      <SelectField
        name="audit.action"
        label={texts.what}
        testId="audit-action"
        value={chosen(choice.action)}
        options={ACTION_OPTIONS}
        onInput={(value) => model.choose({ action: meant(value) })}
      />
      <SelectField
        name="audit.actor"
        label={texts.who}
        testId="audit-actor"
        value={chosen(choice.actor)}
        options={[
          { value: "all", text: texts.everybody },
          ...model.members.value.map(({ id, name }) => ({ value: id, text: name })),
        ]}
        onInput={(value) => model.choose({ actor: meant(value) })}
      />
      <TextField
        name="audit.from"
        label={texts.fromDay}
        type="date"
        testId="audit-from"
        value={choice.fromDay}
        onInput={(fromDay) => model.choose({ fromDay })}
      />
      <TextField
        name="audit.to"
        label={texts.toDay}
        type="date"
        testId="audit-to"
        value={choice.toDay}
        onInput={(toDay) => model.choose({ toDay })}
      />
      {model.isFiltered.value && (
        <p class="filters-foot">
          <button type="button" class="text-button" onClick={model.clear}>
            {texts.showEverything}
          </button>
        </p>
      )}
    </div>
  );
}

function columnsFor(model: AuditModel): readonly Column<AuditEntry>[] {
  const names = model.names.value;
  return [
    {
      title: texts.what,
      cell: (entry) => {
        const place = placeOf(entry.objectId);
        const details = detailWords(entry, names);
        const words = actionWords(entry.action);
        return (
          <>
            <span class="row-name">{place === null ? words : <a href={pathOf(place)}>{words}</a>}</span>
            {details !== "" && (
              <span class="under">
                <FileName name={details} />
              </span>
            )}
          </>
        );
      },
    },
    { title: texts.who, cell: (entry) => <FileName name={actorWords(entry, names)} /> },
    { title: texts.when, cell: (entry) => <span class="muted numbers">{formatDateTime(entry.at)}</span> },
    { title: texts.from, desk: true, cell: (entry) => <span class="muted">{entry.address ?? NOTHING}</span> },
    {
      title: texts.entry,
      numeric: true,
      cell: (entry) => <span class="muted numbers">{formatCount(entry.number)}</span>,
    },
  ];
}
