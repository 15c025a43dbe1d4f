import { useState } from "preact/hooks";
import type { RegistrationCode } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { formatDateTime, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createRegistrationCodes } from "../models/registration-codes.ts";
import { pathOf } from "../models/router.ts";
import { CODE_STATUS_WORDS } from "../words.ts";
import { keepFocus } from "./focus.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { usePageModel } from "./use-page-model.ts";
import { registrationCodesPage as texts } from "../texts/agents.ts";

export function RegistrationCodesPage({ app }: { app: App }) {
  return (
    <SettingsPart app={app} title={texts.registrationCodes} lead={texts.eachRegistersOneMachine} forAdmins>
      {() => <RegistrationCodes app={app} />}
    </SettingsPart>
  );
}

function RegistrationCodes({ app }: { app: App }) {
  const { list, revoke } = usePageModel(() => createRegistrationCodes(app.api, app.toasts));
  const [revoking, setRevoking] = useState<RegistrationCode | null>(null);
  const register = (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "agent-register" })} testId="register-agent">
      {texts.registerAnAgent}
    </LinkButton>
  );
  return (
    <>
      <ListCard
        label={texts.registrationCodes}
        title={texts.codes}
        testId="registration-codes"
        list={list}
        columns={columnsFor(setRevoking)}
        actions={list.items.value.length > 0 && register}
        empty={
          <EmptyState icon="agent" title={texts.noCodesYet} action={register}>
            {texts.codeRegistersOneAgent}
          </EmptyState>
        }
      />
      {revoking !== null && (
        <ConfirmDialog
          title={texts.revokeThisCode}
          confirmText={texts.revokeCode}
          cancelText={texts.keepIt}
          confirmTestId="confirm-revoke-code"
          onConfirm={() => void revoke(revoking.id).then(keepFocus)}
          onClose={() => setRevoking(null)}
        >
          {texts.noAgentCanRegistered}
        </ConfirmDialog>
      )}
    </>
  );
}

function columnsFor(revoke: (code: RegistrationCode) => void): readonly Column<RegistrationCode>[] {
  return [
    {
      title: texts.code,
      cell: (code) => <strong class="row-name">{code.label ?? texts.withoutALabel}</strong>,
    },
    { title: texts.status, cell: (code) => <Badge words={CODE_STATUS_WORDS[code.status]} /> },
    {
      title: texts.agent,
      cell: (code) =>
        code.agentId === null ? (
          <span class="muted">{NOTHING}</span>
        ) : (
          <a href={pathOf({ page: "agent", id: code.agentId })}>{texts.open}</a>
        ),
    },
    {
      title: texts.made,
      desk: true,
      cell: (code) => <span class="muted">{formatDateTime(code.createdAt)}</span>,
    },
    { title: texts.validUntil, cell: (code) => <span class="muted">{formatDateTime(code.expiresAt)}</span> },
    {
      title: "",
      numeric: true,
      cell: (code) =>
        code.status === "open" && (
          <span class="row-actions">
            <Button testId="revoke-code" onPress={() => revoke(code)}>
              {texts.revoke}
            </Button>
          </span>
        ),
    },
  ];
}
