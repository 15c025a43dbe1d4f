import type { Member } from "../../schema/sessions.ts";
import { Badge } from "../components/badge.tsx";
import type { Column } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { formatAgo } from "../format.ts";
import type { App } from "../models/app.ts";
import { createMembers } from "../models/members.ts";
import { ROLE_WORDS } from "../words.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { usePageModel } from "./use-page-model.ts";
import { membersPage as texts } from "../texts/settings.ts";

export function MembersPage({ app }: { app: App }) {
  const { list } = usePageModel(() => createMembers(app.api));
  const current = app.session.current.value;
  const session = current.state === "signed_in" ? current.session : null;
  return (
    <SettingsPart
      app={app}
      title={texts.members}
      lead={
        <>
          {texts.everybodyWhoHasSigned}
          <a href={session?.hubUrl ?? "/"}>{texts.theHub}</a>
          {texts.namesRolesWhoBelongs}
        </>
      }
    >
      {() => (
        <ListCard
          label={texts.members}
          testId="members"
          list={list}
          columns={columnsFor(session?.user.id ?? null, app.nowMs.value)}
          empty={
            <EmptyState icon="client" title={texts.nobodyYet}>
              {texts.whoeverSignsFromHub}
            </EmptyState>
          }
        />
      )}
    </SettingsPart>
  );
}

function columnsFor(ownId: string | null, nowMs: number): readonly Column<Member>[] {
  return [
    {
      title: texts.name,
      cell: (member) => (
        <>
          <strong class="row-name">{member.name}</strong>
          {member.id === ownId && <Badge words={{ text: texts.you, tone: "accent" }} />}
        </>
      ),
    },
    { title: texts.eMail, cell: (member) => <span class="muted">{member.email}</span> },
    { title: texts.role, cell: (member) => ROLE_WORDS[member.role] },
    {
      title: texts.lastSeen,
      cell: (member) => (
        <span class="muted">
          {member.lastSeenAt === null ? texts.notLately : formatAgo(member.lastSeenAt, nowMs)}
        </span>
      ),
    },
  ];
}
