/** The shape of an object that a caller without types passes. No value of it is repeated: it may be a secret. */

/** Why it is not an object with these fields only; undefined if it is. */
export function shapeProblem(value: unknown, fields: readonly string[]): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return `must be an object, got ${kindOf(value)}`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return "must be a plain object"
  const unknown = Object.keys(value).find((name) => !fields.includes(name))
  return unknown === undefined ? undefined : `has no field ${unknown}: there are ${fields.join(", ")}`
}

/** What a value is, for an error that must not say which. */
export function kindOf(value: unknown): string {
  if (value === null) return "null"
  if (Array.isArray(value)) return "an array"
  return typeof value === "undefined" ? "undefined" : `${typeof value === "object" ? "an" : "a"} ${typeof value}`
}
