import { Button } from "./button.tsx";
import { moreButton as texts } from "../texts/components.ts";

/** At the foot of a list that goes on. */
export function MoreButton(props: { hasMore: boolean; busy: boolean; onMore: () => void }) {
  if (!props.hasMore) return null;
  return (
    <div class="more">
      <Button look="quiet" busy={props.busy} onPress={props.onMore}>
        {texts.showMore}
      </Button>
    </div>
  );
}
