/** Hands a text to the browser to be saved as a file. */
export function saveText(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by the end of this turn.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
