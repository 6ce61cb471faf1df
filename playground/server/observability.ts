/**
 * Sends the provider's spans, metrics and logs to an OpenTelemetry collector, if the environment names one, such as
 * `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318`.
 */
import * as Otlp from '@effect/opentelemetry/Otlp'
import * as FetchHttpClient from '@effect/platform/FetchHttpClient'
import { Layer } from 'effect'

const { OTEL_EXPORTER_OTLP_ENDPOINT: baseUrl } = process.env

export default baseUrl
  ? Otlp.layerJson({ baseUrl, resource: { serviceName: 'or3-playground' } }).pipe(
      Layer.provide(FetchHttpClient.layer),
    )
  : Layer.empty
