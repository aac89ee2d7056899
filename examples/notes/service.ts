/** A service of your own: methods that run inside the transaction which decides their batch, with tables of your own. */
import { Rejection, serveShareService, type HandlerContext, type RunningShareService } from "../../src/service/index.ts"

/** What a client calls. */
export interface NotesApi {
  create(note: { title: string }): { id: string }
  addTag(id: string, tag: string): number
  rename(id: string, title: string): void
}

const methods = {
  create({ sql, share, op_id }: HandlerContext, note: unknown) {
    const { title } = note as { title: string }
    // The op_id is unique for the life of the share, and the same in every retry: a good primary key.
    sql.run("insert into note (share, id, title) values (?, ?, ?)", share, op_id, title)
    return { id: op_id }
  },
  addTag({ sql, share }: HandlerContext, id: unknown, tag: unknown) {
    sql.run("insert into tag (share, note_id, tag) values (?, ?, ?)", share, id as string, tag as string)
    return sql.all("select 1 from tag where share = ? and note_id = ?", share, id as string).length
  },
  rename({ sql, share }: HandlerContext, id: unknown, title: unknown) {
    // Rejects this op alone, for good: it becomes a dead letter at the client, and the batch goes on.
    if (title === "") throw new Rejection("title_empty", "a note needs a title")
    sql.run("update note set title = ? where share = ? and id = ?", title as string, share, id as string)
  },
}

export function serveNotes(file: string): RunningShareService {
  const service = serveShareService({ file, methods })
  service.sql.run(
    "create table if not exists note (share integer, id text, title text, primary key (share, id)) strict",
  )
  service.sql.run("create table if not exists tag (share integer, note_id text, tag text) strict")
  return service
}
