import { useEffect, useMemo } from "preact/hooks";

/** Makes a page's model when the page opens, and lets it go when the page closes or becomes another thing's page. */
export function usePageModel<Model extends { open(): void; close(): void }>(
  make: () => Model,
  key = "",
): Model {
  const model = useMemo(make, [key]);
  useEffect(() => {
    model.open();
    return () => model.close();
  }, [model]);
  return model;
}
