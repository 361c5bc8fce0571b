// What AWS asks, and which price each kind of use has. US East (N. Virginia), on demand, without free tiers, as of
// November 2026; from the pricing pages of Lambda, API Gateway, S3, DynamoDB, SQS, CloudWatch, VPC and EC2.

/** Dollars for one unit. */
export const PRICES = {
  /** HTTP APIs, first 300 million requests a month; a request for each begun 512 KB. */
  apiRequest: 1.0 / 1e6,
  lambdaRequest: 0.2 / 1e6,
  /** arm64. */
  lambdaGbSecond: 0.0000133334,
  s3Put: 5.0 / 1e6,
  s3Get: 0.4 / 1e6,
  /** On-demand write unit: 1 KB. */
  dynamoWrite: 0.625 / 1e6,
  /** On-demand read unit: 4 KB, strongly consistent. */
  dynamoRead: 0.125 / 1e6,
  /** Standard queue; a request for each begun 64 KB. */
  sqsRequest: 0.4 / 1e6,
  /** Ingestion, standard class. */
  logsByte: 0.5 / 1e9,
  free: 0,
} as const;

/** Apart from the sum: what leaves AWS, and what the NAT gateway takes for carrying it. */
export const EGRESS_PRICES = { internetByte: 0.09 / 1e9, natByte: 0.045 / 1e9 } as const;

/** In the order in which they are shown. `(Lambda)`: calls that the event source mapping makes on our account. */
export const USES = {
  'API Gateway, 512 KB units': 'apiRequest',
  'Lambda receive, requests': 'lambdaRequest',
  'Lambda receive, GB-seconds': 'lambdaGbSecond',
  'Lambda deliver, requests': 'lambdaRequest',
  'Lambda deliver, GB-seconds': 'lambdaGbSecond',
  'S3 PutObject': 's3Put',
  'S3 GetObject': 's3Get',
  'S3 DeleteObject': 'free',
  'DynamoDB PutItem, units': 'dynamoWrite',
  'DynamoDB UpdateItem, units': 'dynamoWrite',
  'DynamoDB DeleteItem, units': 'dynamoWrite',
  'DynamoDB index writes': 'dynamoWrite',
  'DynamoDB GetItem, units': 'dynamoRead',
  'DynamoDB Query, units': 'dynamoRead',
  'SQS SendMessageBatch': 'sqsRequest',
  'SQS ReceiveMessage (Lambda)': 'sqsRequest',
  'SQS ChangeMessageVisibilityBatch': 'sqsRequest',
  'SQS DeleteMessageBatch': 'sqsRequest',
  'SQS DeleteMessageBatch (Lambda)': 'sqsRequest',
  'SQS GetQueueAttributes': 'sqsRequest',
  'CloudWatch Logs, bytes': 'logsByte',
} as const satisfies Readonly<Record<string, keyof typeof PRICES>>;

export type Use = keyof typeof USES;

export function isUse(name: string): name is Use {
  return Object.hasOwn(USES, name);
}
