/** All messages of a session, as opencode pages them, or does not. */
import { expect, test } from "bun:test"
import { ClientSource } from "../../src/opencode/client.ts"
import { SourceSilent } from "../../src/opencode/session-source.ts"

interface Query {
  limit?: number
  before?: string
}

const all = Array.from({ length: 450 }, (_, index) => ({ info: { id: `msg_${index}` }, parts: [] }))

/** Answers as the version of opencode that is named. */
function source(answer: (query: Query) => { data: unknown; next?: string }) {
  const messages = async (input?: object) => {
    const { data, next } = answer((input as { query?: Query }).query ?? {})
    return { data, response: new Response(null, { headers: next === undefined ? {} : { "x-next-cursor": next } }) }
  }
  return new ClientSource({ session: { messages } })
}

/** The newest of those before the cursor. */
function page({ limit = all.length, before }: Query) {
  const end = before === undefined ? all.length : Number(before)
  const begin = Math.max(0, end - limit)
  return { data: all.slice(begin, end), ...(begin > 0 && { next: String(begin) }) }
}

test.each([
  ["that pages", page],
  ["that knows a limit and no pages", ({ limit }: Query) => ({ data: all.slice(-(limit ?? all.length)) })],
  ["that knows neither", () => ({ data: all })],
])("of an opencode %s all are told, oldest first", async (_, answer) => {
  expect(await source(answer).messages("ses_1")).toEqual(all)
})

test.each([
  ["no list", () => ({ data: {} })],
  ["no messages", () => ({ data: [{ info: {} }] })],
  ["the same page again", ({ limit, before }: Query) => ({ data: all.slice(-limit!), next: `${before}.` })],
])("of an opencode that answers %s nothing is told", async (_, answer) => {
  const [outcome] = await Promise.allSettled([source(answer).messages("ses_1")])
  expect(outcome).toMatchObject({ reason: expect.any(SourceSilent) })
})
