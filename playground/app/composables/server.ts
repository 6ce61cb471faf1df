/**
 * The server as the page watches it: its view, fetched about each second, and pushes with what it decided about them.
 */
import { onMounted, onScopeDispose, ref, shallowRef } from 'vue'
import type { ServerView } from '../../shared/view'
import { get, messageOf, post } from '../utils/api'
import { type Decision, explainCollection, explainPush } from '../utils/decisions'
import type { PendingOp, Pushed } from '../utils/protocol'

const interval = 1_000

export const useServer = (workspaceId: string, decided: (decision: Decision) => void) => {
  const view = shallowRef<ServerView>()
  const trouble = ref('')
  const scope = { workspaceId }
  let [asked, shown] = [0, 0]

  const refresh = async (): Promise<ServerView> => {
    const order = ++asked
    const next = await get<ServerView>('/api/dev/view')
    if (next.workspaceId !== workspaceId) {
      throw new Error('Another tab has switched the user or the workspace: reload this one')
    }
    // An answer that was overtaken is old, and one that is the same must not make anything be drawn again.
    if (order > shown) {
      shown = order
      if (JSON.stringify(next) !== JSON.stringify(view.value)) view.value = next
    }
    return next
  }

  let timer: ReturnType<typeof setTimeout> | undefined
  let disposed = false
  const poll = async () => {
    clearTimeout(timer)
    if (document.hidden || disposed) return
    try {
      await refresh()
      trouble.value = ''
    } catch (error) {
      trouble.value = messageOf(error)
    }
    clearTimeout(timer)
    if (!disposed) timer = setTimeout(poll, interval)
  }
  onMounted(() => {
    document.addEventListener('visibilitychange', poll)
    void poll()
  })
  onScopeDispose(() => {
    disposed = true
    clearTimeout(timer)
    if (typeof document !== 'undefined') document.removeEventListener('visibilitychange', poll)
  })

  /** One at a time over both devices: what a push changed shows in the views before and after it. */
  let running: Promise<unknown> = Promise.resolve()
  const alone = <A>(work: () => Promise<A>): Promise<A> => {
    const next = running.then(work, work)
    running = next.catch(() => {})
    return next
  }

  const push = (ops: ReadonlyArray<PendingOp>): Promise<Pushed> =>
    alone(async () => {
      const before = await refresh()
      const answer = await post<Pushed>('/api/sync/push', { scope, ops })
      for (const decision of explainPush(before, ops, answer.results)) decided(decision)
      await refresh().catch(() => {})
      return answer
    })

  /** Lets time pass for what the server has, and then collects what is older than an hour. */
  const collect = (): Promise<void> =>
    alone(async () => {
      const retentionSeconds = 3_600
      await post('/api/dev/pass-time', { seconds: retentionSeconds + 1 })
      const before = await refresh()
      await post('/api/sync/gc-tombstones', { scope, retentionSeconds })
      await post('/api/sync/gc-change-log', { scope, retentionSeconds })
      decided(explainCollection(before, await refresh(), 'an hour'))
    })

  return { view, trouble, push, collect }
}
