import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Page } from "../components/page.tsx";

export function NotFoundPage() {
  return (
    <Page title="Not found">
      <EmptyState
        icon="warning"
        title="There is no such page"
        action={<LinkButton href="/">To the dashboard</LinkButton>}
      />
    </Page>
  );
}
