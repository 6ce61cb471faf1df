/**
 * What the workspace endpoints accept. They do not catch the store's errors: those decide the response.
 */
import { type H3Event, getRouterParam } from 'h3'
import { bodyOf, optional, text } from './validate'

/** The id in the path. */
export const workspaceIdOf = (event: H3Event) => text(getRouterParam(event, 'id'), 'id', { max: 256 })

export const detailsOf = async (event: H3Event) => {
  const { name, description } = await bodyOf(event)
  const described = optional(description, (value) =>
    value === '' ? '' : text(value, 'description', { max: 1_000 }),
  )
  return {
    name: text(name, 'name', { max: 100 }),
    ...(described === undefined ? {} : { description: described }),
  }
}
