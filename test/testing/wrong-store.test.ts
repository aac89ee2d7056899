/** The suite of the store is itself tested: a handle that does one thing wrong fails the check that is there for it. */
import { Database, type SQLQueryBindings } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { ConformanceError, eachStoreCheck, type StoreSubject } from "../../src/testing/conformance/index.ts"

/** Says to SQLite what it makes of what it is told. */
class WrongDatabase extends Database {
  constructor(readonly instead: (sql: string) => string) {
    super(":memory:")
  }

  override prepare<Row, Params extends SQLQueryBindings | SQLQueryBindings[]>(sql: string, params?: Params) {
    return super.prepare<Row, Params>(this.instead(sql), params)
  }

  override query<Row, Params extends SQLQueryBindings | SQLQueryBindings[]>(sql: string) {
    return super.query<Row, Params>(this.instead(sql))
  }

  override run(sql: string, ...bindings: never[]) {
    return super.run(this.instead(sql), ...bindings)
  }
}

function subjectWith(instead: (sql: string) => string): StoreSubject {
  return {
    host: true,
    make() {
      const database = new WrongDatabase(instead)
      return { where: { database }, close: () => database.close() }
    },
  }
}

const swap = (from: string | RegExp, to: string) => (sql: string) => sql.replace(from, to)

/** What the handle says instead, and the beginning of the name of a check that must fail. */
const planted: Record<string, [instead: (sql: string) => string, caught: string]> = {
  "commits where it is to roll back": [swap(/^rollback$/, "commit"), "a unit in which one op is refused"],
  "keeps what a savepoint undoes": [swap(/^rollback to sturdy$/, "select 1"), "in the host's open transaction"],
  "loses captures": [swap(/^insert into sturdy_capture .*/s, "select ?, ?, ?"), "a captureId given again"],
  "moves a bookmark back": [swap("where excluded.place >= place", ""), "a bookmark is written"],
  "never replaces": [
    swap("select seq, op_id, key, continues", "select seq, op_id, null as key, continues"),
    "a newer op of a key",
  ],
  "replaces what an op depends on": [
    swap(
      "continues, depends_on, supersedes from sturdy_op",
      "continues, null as depends_on, supersedes from sturdy_op",
    ),
    "an op is never replaced",
  ],
  "replaces within a unit": [
    swap("key, continues, depends_on", "key, null as continues, depends_on"),
    "an op of a unit",
  ],
  "replaces what is frozen": [
    swap("select stream_id, name, cursor, frozen_seq,", "select stream_id, name, cursor, cursor as frozen_seq,"),
    "a frozen op is never replaced",
  ],
  "forgets the order of ops": [
    swap("seq <= ? order by seq limit", "seq <= ? order by op_id desc limit"),
    "batches are whole",
  ],
  "forgets that a batch was frozen": [
    swap(
      "update sturdy_stream set frozen_seq = ? where",
      "update sturdy_stream set frozen_seq = frozen_seq + 0 * ? where",
    ),
    "a frozen op is never replaced",
  ],
  "settles past a batch": [
    swap(
      "select first_seq from sturdy_batch where first_seq > ? order by first_seq limit 1",
      "select max(first_seq) as first_seq from sturdy_batch where ? > 0",
    ),
    "a settlement is written whole",
  ],
  "takes any term for its own": [
    swap("where id = 1 and term = ? and owner = ?", "where id = 1 and (1 or term = ? or owner = ?)"),
    "only the holder of the lease",
  ],
  "does not count terms": [swap("set term = excluded.term,", "set"), "the lease is held by one"],
  "keeps only the code of a dead letter": [
    swap("(?1, ?2, ?3, ?4, ?5, ?6,", "(?1, ?2, ?3, ?4, json_set(?5, '$.args', ''), ?6,"),
    "a dead letter is kept whole",
  ],
  "decides a dead letter twice": [
    swap("decision = ?, time_decided", "decision = iif(?1 is null, ?1, null), time_decided"),
    "a dead letter",
  ],
  "records after a removal": [
    swap("cursor, frozen_seq, time_removal,", "cursor, frozen_seq, null as time_removal,"),
    "after a removal was recorded",
  ],
  "sends after a removal": [
    swap("set time_removal = ?", "set time_removal = iif(? > 0, null, 0)"),
    "after a removal was recorded",
  ],
  "forgets what was captured only by half": [
    swap("delete from sturdy_item where stream_id = ?", "select ?"),
    "after a removal was recorded",
  ],
  "prunes with the op its settled_op_id": [
    swap("set pruned_seq = ?2, pruned_op_id = ?3,", "set pruned_seq = ?2, pruned_op_id = ?3, settled_op_id = null,"),
    "settled ops are kept for seven days",
  ],
  "prunes a dead letter": [
    swap(
      /^delete from sturdy_result where seq > \? and seq <= \?$/,
      "delete from sturdy_dead_letter where seq > ? and seq <= ?",
    ),
    "settled ops are kept within 16 MiB",
  ],
  "keeps a dead letter that is pending again": [
    swap("delete from sturdy_dead_letter where seq > ? and seq <= ? and decision is null", "select ?, ?"),
    "a server that lost data",
  ],
  "begins again at the old base": [
    swap("base_cursor = ?2, base_head_op_id = ?3,\n", "base_cursor = base_cursor, base_head_op_id = ?3,\n"),
    "a server that lost data",
  ],
}

const failing = async (subject: StoreSubject, named = "") => {
  const failed = new Map<string, unknown>()
  for (const { name, run } of eachStoreCheck(subject).filter((check) => check.name.startsWith(named)))
    await run().catch((error: unknown) => failed.set(name, error))
  return failed
}

describe("a place is caught whose handle", () => {
  for (const [name, [instead, caught]] of Object.entries(planted))
    test(name, async () => {
      let rewritten = 0
      const wrong = subjectWith((sql) => {
        const said = instead(sql)
        if (said !== sql) rewritten += 1
        return said
      })
      const failed = await failing(wrong, caught)
      // The store may have come to say it in other words.
      expect(rewritten).toBeGreaterThan(0)
      expect(failed.size).toBeGreaterThan(0)
    })
})

test("the same handle that says what it is told fails nothing", async () => {
  expect(await failing(subjectWith((sql) => sql))).toEqual(new Map())
})

test("a failure says what should be and what is", async () => {
  const failed = await failing(subjectWith(swap("where excluded.place >= place", "")), "a bookmark")
  const [error] = [...failed.values()]
  expect(error).toBeInstanceOf(ConformanceError)
  expect(String(error)).toContain('the bookmark\n  should be {"source":"source","place":5,"mark":"event_5"}\n  is ')
})
