/* SQS and DynamoDB over AWS JSON 1.0, as far as the worker uses them.

   A queue is named KIND_BUCKET_TAG: KIND events (S3 notifications) or jobs (the job sender's),
   BUCKET a source bucket whose every object is one message, TAG whatever makes it a new queue. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JSON "Content-Type: application/x-amz-json-1.0\r\n"
enum { BATCH = 10, MESSAGE = 4096 };

static bool answer(struct conn *c, struct request *r, int status, const char *body)
{
    return reply(c, r, status, JSON, body, strlen(body));
}

static bool no_queue(struct conn *c, struct request *r)
{
    return answer(c, r, 400,
                  "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\","
                  "\"message\":\"The specified queue does not exist.\"}");
}

/* --- as much JSON as is needed ------------------------------------------------------ */

/* Where the value of ``"name":`` begins, or NULL. */
static const char *value_of(const char *json, const char *name)
{
    char quoted[48];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(json, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, " :");
}

static long number_of(const char *json, const char *name, long otherwise)
{
    const char *at = value_of(json, name);
    return at ? atol(at) : otherwise;
}

static bool text_of(const char *json, const char *name, char *text, size_t size)
{
    const char *at = value_of(json, name);
    if (!at || *at != '"')
        return false;
    snprintf(text, size, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
    return true;
}

static struct queue *queue_of(const char *request)
{
    char url[512];
    if (!text_of(request, "QueueUrl", url, sizeof url))
        return NULL;
    char *slash = strrchr(url, '/');
    return queue_named(slash ? slash + 1 : url);
}

/* --- messages ----------------------------------------------------------------------- */

static int event(const struct queue *q, long long number, char *body)
{
    char etag[48];
    long long size = source_size(&q->source, number);
    source_etag(&q->source, number, etag);
    return snprintf(body, MESSAGE / 2,
        "{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":"
        "\"us-east-1\",\"eventTime\":\"2026-01-05T10:00:00.000Z\",\"eventName\":"
        "\"ObjectCreated:Put\",\"userIdentity\":{\"principalId\":\"AWS:AROAEXAMPLE:bench\"},"
        "\"requestParameters\":{\"sourceIPAddress\":\"192.0.2.7\"},\"responseElements\":"
        "{\"x-amz-request-id\":\"0123456789ABCDEF\",\"x-amz-id-2\":"
        "\"8yqVvG4Zd3c1pX7n0bTtq5WmR2sUeLhJkYfAoCi9D6E\"},\"s3\":{\"s3SchemaVersion\":\"1.0\","
        "\"configurationId\":\"bench\",\"bucket\":{\"name\":\"%s\",\"ownerIdentity\":"
        "{\"principalId\":\"A3NL1KOZZKExample\"},\"arn\":\"arn:aws:s3:::%s\"},\"object\":"
        "{\"key\":\"%09lld\",\"size\":%lld,\"eTag\":\"%s\",\"sequencer\":\"0066%012llX\"}}}]}",
        q->bucket, q->bucket, number, size, etag, (unsigned long long)number);
}

static int job(const struct queue *q, long long number, char *body)
{
    return snprintf(body, MESSAGE / 2,
                    "{\"Src_bucket\":\"%s\",\"Src_key\":\"%09lld\",\"Size\":%lld,"
                    "\"Des_bucket\":\"target\",\"Des_key\":\"%s/%09lld\"}",
                    q->bucket, number, source_size(&q->source, number), q->name, number);
}

static size_t message(const struct queue *q, const struct delivery *d, char *out)
{
    char body[MESSAGE / 2], md5[33];
    unsigned char digest[16];
    int length = q->jobs ? job(q, d->object, body) : event(q, d->object, body);
    md5_of(body, (size_t)length, digest);
    hex_of(digest, 16, md5);
    size_t size = (size_t)sprintf(out,
        "{\"MessageId\":\"%08llx-bench\",\"ReceiptHandle\":\"%lld-%d\",\"MD5OfBody\":\"%s\","
        "\"Attributes\":{\"ApproximateReceiveCount\":\"%d\",\"SentTimestamp\":\"%lld000\"},"
        "\"Body\":\"", (unsigned long long)d->message, d->message, d->receives, md5,
        d->receives, (long long)time(NULL));
    for (const char *at = body; *at; at++) {
        if (*at == '"')
            out[size++] = '\\';
        out[size++] = *at;
    }
    return size + (size_t)sprintf(out + size, "\"}");
}

static bool receive(struct conn *c, struct request *r, const char *request, struct queue *q)
{
    long limit = number_of(request, "MaxNumberOfMessages", 1);
    long patience = number_of(request, "WaitTimeSeconds", 0) * 20;
    long lease = number_of(request, "VisibilityTimeout", DEFAULT_LEASE);
    struct delivery taken[BATCH];
    size_t count;
    counters.receives++;
    limit = limit < 1 ? 1 : limit > BATCH ? BATCH : limit;
    while (!(count = queue_take(q, taken, (size_t)limit, lease)) && patience-- > 0)
        usleep(50 * 1000);
    if (!count) {
        counters.empty_receives++;
        return answer(c, r, 200, "{}");
    }
    char *body = malloc(64 + BATCH * MESSAGE);
    size_t size = (size_t)sprintf(body, "{\"Messages\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            body[size++] = ',';
        size += message(q, &taken[i], body + size);
    }
    size += (size_t)sprintf(body + size, "]}");
    bool sent = reply(c, r, 200, JSON, body, size);
    free(body);
    return sent;
}

static void settle(struct queue *q, const char *entry, bool deleting)
{
    char handle[48] = "";
    text_of(entry, "ReceiptHandle", handle, sizeof handle);
    if (deleting)
        queue_delete(q, handle);
    else
        queue_lease(q, handle, number_of(entry, "VisibilityTimeout", DEFAULT_LEASE));
}

/* Every entry of a batch succeeds; entries are objects without objects in them. */
static bool batch(struct conn *c, struct request *r, char *request, struct queue *q, bool deleting)
{
    char out[1024], id[96];
    int size = sprintf(out, "{\"Successful\":[");
    char *at = strstr(request, "\"Entries\"");
    deleting ? counters.delete_batches++ : counters.visibility_batches++;
    for (int n = 0; at && n < BATCH && (at = strchr(at, '{')); n++) {
        char *end = strchr(at, '}');
        if (!end)
            break;
        *end = 0;
        settle(q, at, deleting);
        if (!text_of(at, "Id", id, sizeof id - 16))
            break;
        size += snprintf(out + size, sizeof out - (size_t)size, "%s{\"Id\":\"%s\"}", n ? "," : "", id);
        at = end + 1;
    }
    snprintf(out + size, sizeof out - (size_t)size, "],\"Failed\":[]}");
    return answer(c, r, 200, out);
}

static bool queue_url(struct conn *c, struct request *r, const char *request)
{
    char name[LONGEST_NAME], body[256];
    if (!text_of(request, "QueueName", name, sizeof name))
        return no_queue(c, r);
    struct queue *q = queue_named(name);
    snprintf(body, sizeof body, "{\"QueueUrl\":\"https://sqs.invalid/000000000000/%s\"}", name);
    return q ? answer(c, r, 200, body) : no_queue(c, r);
}

static bool attributes(struct conn *c, struct request *r, const struct queue *q)
{
    char body[384];
    snprintf(body, sizeof body,
             "{\"Attributes\":{\"VisibilityTimeout\":\"120\",\"MaximumMessageSize\":\"262144\","
             "\"ApproximateNumberOfMessages\":\"%lld\","
             "\"ApproximateNumberOfMessagesNotVisible\":\"%lld\","
             "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}",
             queue_visible(q), q->held);
    return answer(c, r, 200, body);
}

static bool serve_sqs(struct conn *c, struct request *r, char *request, const char *operation)
{
    if (!strcmp(operation, "GetQueueUrl"))
        return queue_url(c, r, request);
    struct queue *q = queue_of(request);
    if (!q)
        return no_queue(c, r);
    if (!strcmp(operation, "ReceiveMessage"))
        return receive(c, r, request, q);
    if (!strcmp(operation, "DeleteMessageBatch"))
        return batch(c, r, request, q, true);
    if (!strcmp(operation, "ChangeMessageVisibilityBatch"))
        return batch(c, r, request, q, false);
    if (!strcmp(operation, "GetQueueAttributes"))
        return attributes(c, r, q);
    return answer(c, r, 400, "{\"__type\":\"com.amazonaws.sqs#UnsupportedOperation\"}");
}

/* --- DynamoDB ----------------------------------------------------------------------- */

static const char TABLE[] =
    "{\"Table\":{\"TableName\":\"bench\",\"TableStatus\":\"ACTIVE\",\"AttributeDefinitions\":"
    "[{\"AttributeName\":\"Key\",\"AttributeType\":\"S\"}],\"KeySchema\":"
    "[{\"AttributeName\":\"Key\",\"KeyType\":\"HASH\"}],"
    "\"GlobalSecondaryIndexes\":[{\"IndexName\":\"desBucket-index\"}]}}";

static uint32_t crc32(const char *text)
{
    uint32_t crc = ~0u;
    for (; *text; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static bool serve_dynamodb(struct conn *c, struct request *r, const char *operation)
{
    char headers[128];
    const char *body = !strcmp(operation, "DescribeTable")    ? TABLE
                       : !strcmp(operation, "BatchWriteItem") ? "{\"UnprocessedItems\":{}}"
                                                              : "{}";
    counters.dynamodb++;
    snprintf(headers, sizeof headers, JSON "x-amz-crc32: %u\r\n", crc32(body));
    return reply(c, r, 200, headers, body, strlen(body));
}

bool serve_aws(struct conn *c, struct request *r)
{
    char *request = body_whole(c, r);
    const char *dot = strchr(r->target, '.');
    const char *operation = dot ? dot + 1 : "";
    if (!request)
        return false;
    bool sent = strncmp(r->target, "DynamoDB", 8) ? serve_sqs(c, r, request, operation)
                                                   : serve_dynamodb(c, r, operation);
    free(request);
    return sent;
}
