/** A promise where none may be: bodies of transactions and units, and handlers, are synchronous. */
export function isThenable(value: unknown): boolean {
  return (
    value !== null &&
    (typeof value === "object" || typeof value === "function") &&
    "then" in value &&
    typeof value.then === "function"
  )
}
