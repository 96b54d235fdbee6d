/** How monitoring is set up; type and injection token in one. */
export abstract class MonitoringOptions {
  /** Mount the routes under `monitoring`. */
  readonly http?: boolean;
  /** Between two collections, where the live configuration says nothing. Default 15,000. */
  readonly collectIntervalMs?: number;
  /** Between two runs of the health checks, where the live configuration says nothing. Default 30,000. */
  readonly healthIntervalMs?: number;
  /** Version of the application, as system info and Prometheus show it. */
  readonly version?: string;
  /** Addresses that may read `/metrics` without a credential, as CIDR ranges. */
  readonly metricsAllowedCidrs?: readonly string[];
  /** Private ranges that outside checks may reach nevertheless. Default none. */
  readonly checkAllowedCidrs?: readonly string[];
  /** The object store that our own work needs; watched as component `s3`. */
  readonly s3?: { readonly bucket: string; readonly endpoint?: string; readonly region?: string };
}
