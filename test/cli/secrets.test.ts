/** No secret of an outbox is in what is shown, whatever repeats it. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Secrets } from "../../src/cli/outbox/secrets.ts"

const secret = fc.string({ unit: fc.constantFrom(..."abAB01_-"), minLength: 16, maxLength: 40 })

describe("a secret", () => {
  test("of any of many streams is hidden wherever it stands, and all around it stays", () => {
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 50 }), fc.array(fc.string()), (all, between) => {
        const secrets = new Secrets(all)
        const text = between.map((part, n) => `<${part}>${all[n % all.length]}`).join("")
        const hidden = secrets.hide(text)
        for (const one of all) expect(hidden).not.toContain(one)
        expect(hidden).toBe(between.map((part) => `<${part}>[secret]`).join(""))
      }),
    )
  })

  test("that holds another one is hidden whole", () => {
    const secrets = new Secrets(["0123456789abcdef", "0123456789abcdef_and_more"])
    expect(secrets.hide("x0123456789abcdef_and_more 0123456789abcdef")).toBe("x[secret] [secret]")
  })

  test("of a service's own making is hidden as it stands in JSON, and in JSON within JSON", () => {
    const secrets = new Secrets(['a "quoted" one \\'])
    const value = { args: JSON.stringify(['a "quoted" one \\']), plain: 'a "quoted" one \\' }
    expect(JSON.parse(secrets.hide(JSON.stringify(value)))).toEqual({ args: '["[secret]"]', plain: "[secret]" })
  })
})
