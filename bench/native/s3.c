/* S3's and Cloud Storage's XML API as far as movers use it. Bodies are read, counted, summed
   and dropped; what is read comes out of one block of random bytes. */
#include "bench.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MODIFIED "Mon, 05 Jan 2026 10:00:00 GMT"
#define MODIFIED_ISO "2026-01-05T10:00:00.000Z"
#define XML "Content-Type: application/xml\r\n"
#define XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
enum { PAGE = 1000, ENTRY = 320 };

static bool refuse(struct conn *c, struct request *r, int status, const char *code)
{
    char body[512];
    int size = snprintf(body, sizeof body,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
                        "<Message>%s</Message><RequestId>0123456789ABCDEF</RequestId></Error>",
                        code, code);
    if (!strcmp(r->method, "HEAD"))
        return begin_reply(c, r, status, XML, 0) && flush(c);
    return reply(c, r, status, XML, body, (size_t)size);
}

/* --- above the permitted rate? ------------------------------------------------------ */

/* Spread evenly, and the same in every run. */
static bool refused_by_lot(void)
{
    static atomic_ullong drawn;
    if (!options.refuse)
        return false;
    unsigned long long lot = ++drawn * 0x9e3779b97f4a7c15ULL;
    return (lot >> 32) % 1000 < (unsigned long long)options.refuse;
}

static bool throttled(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static double tokens, filled;
    struct timespec clock;
    if (!options.throttle)
        return false;
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_MONOTONIC, &clock);
    double now = (double)clock.tv_sec + (double)clock.tv_nsec / 1e9, rate = (double)options.throttle;
    tokens = filled ? tokens + (now - filled) * rate : rate / 10;
    tokens = tokens > rate / 10 + 1 ? rate / 10 + 1 : tokens;
    filled = now;
    bool refused = tokens < 1;
    if (!refused)
        tokens -= 1;
    pthread_mutex_unlock(&lock);
    return refused;
}

/* --- reading ------------------------------------------------------------------------ */

/* The object of a source bucket, or one that was written. */
static bool known_object(const struct request *r, struct object *is)
{
    struct source source;
    if (!source_of(r->bucket, &source))
        return find_object(r->bucket, r->key, is);
    size_t digits = strlen(r->key);
    while (digits && strchr("0123456789", r->key[digits - 1]))
        digits--;
    if (!r->key[digits] || atoll(r->key + digits) >= source.count)
        return false;
    long long number = atoll(r->key + digits);
    *is = (struct object){.size = source_size(&source, number),
                          .start = source_start(&source, number)};
    source_etag(&source, number, is->etag);
    return true;
}

static void goog_hash(const struct object *is, char *text, size_t size)
{
    unsigned char raw[4] = {(unsigned char)(is->crc >> 24), (unsigned char)(is->crc >> 16),
                            (unsigned char)(is->crc >> 8), (unsigned char)is->crc};
    char base64[12];
    EVP_EncodeBlock((unsigned char *)base64, raw, 4);
    snprintf(text, size, is->has_crc ? "x-goog-hash: crc32c=%s\r\n" : "", base64);
}

static int described(const struct object *is, char *headers, size_t size)
{
    char hash[64];
    goog_hash(is, hash, sizeof hash);
    return snprintf(headers, size,
                    "Last-Modified: " MODIFIED "\r\nETag: \"%s\"\r\nAccept-Ranges: bytes\r\n"
                    "Content-Type: binary/octet-stream\r\n%s", is->etag, hash);
}

static bool send_bytes(struct conn *c, long long offset, long long length)
{
    counters.bytes_out += (unsigned long long)length;
    while (length > 0) {
        size_t run = length < BLOCK ? (size_t)length : BLOCK;
        bool small = length <= OUT_SIZE / 2;
        if (!(small ? append(c, pattern(offset), run)
                    : flush(c) && send_all(c, pattern(offset), run)))
            return false;
        offset += (long long)run;
        length -= (long long)run;
    }
    return flush(c);
}

static bool get_object(struct conn *c, struct request *r)
{
    struct object is;
    char headers[512];
    bool head = r->method[0] == 'H';
    head ? counters.heads++ : counters.gets++;
    if (!known_object(r, &is))
        return refuse(c, r, 404, "NoSuchKey");
    long long first = r->first < 0 ? 0 : r->first;
    long long last = r->first < 0 || r->last < 0 || r->last >= is.size ? is.size - 1 : r->last;
    if (r->first >= 0 && first >= is.size)
        return refuse(c, r, 416, "InvalidRange");
    int size = described(&is, headers, sizeof headers);
    if (r->first >= 0)
        snprintf(headers + size, sizeof headers - (size_t)size,
                 "Content-Range: bytes %lld-%lld/%lld\r\n", first, last, is.size);
    long long length = last - first + 1;
    if (!begin_reply(c, r, r->first < 0 ? 200 : 206, headers, length))
        return false;
    return head ? flush(c) : send_bytes(c, is.start + first, length);
}

/* --- listing ------------------------------------------------------------------------ */

static size_t list_entry(char *out, const struct source *source, long long number)
{
    char etag[48];
    long long size = source_size(source, number);
    source_etag(source, number, etag);
    return (size_t)snprintf(out, ENTRY,
                            "<Contents><Key>%09lld</Key><LastModified>" MODIFIED_ISO
                            "</LastModified><ETag>&quot;%s&quot;</ETag><Size>%lld</Size>"
                            "<StorageClass>STANDARD</StorageClass></Contents>",
                            number, etag, size);
}

static bool has_prefix(const char *prefix, long long number)
{
    char key[24];
    snprintf(key, sizeof key, "%09lld", number);
    return !strncmp(key, prefix, strlen(prefix));
}

/* The keys of a source are its numbers; the listing of any other bucket is empty. */
static bool list_objects(struct conn *c, struct request *r)
{
    struct source source = {0};
    char value[1100] = "", prefix[1100] = "";
    long long next = 0, page = PAGE, listed = 0;
    counters.lists++;
    source_of(r->bucket, &source);
    query_value(r->query, "prefix", prefix, sizeof prefix);
    if (query_value(r->query, "max-keys", value, sizeof value) && atoll(value) < PAGE)
        page = atoll(value);
    if ((query_value(r->query, "start-after", value, sizeof value) ||
         query_value(r->query, "marker", value, sizeof value)) && *value)
        next = atoll(value) + 1;
    if (query_value(r->query, "continuation-token", value, sizeof value))
        next = atoll(value);
    char *body = malloc(1024 + PAGE * ENTRY);
    size_t size = 0, head = 512;
    for (; next < source.count && listed < page; next++)
        if (has_prefix(prefix, next)) {
            size += list_entry(body + head + size, &source, next);
            listed++;
        }
    char opening[512], token[96] = "";
    if (next < source.count)
        snprintf(token, sizeof token, "<NextContinuationToken>%lld</NextContinuationToken>", next);
    int start = snprintf(opening, sizeof opening,
                         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult" XMLNS
                         "><Name>%.100s</Name><KeyCount>%lld</KeyCount><MaxKeys>%lld</MaxKeys>"
                         "<IsTruncated>%s</IsTruncated>%s",
                         r->bucket, listed, page, *token ? "true" : "false", token);
    memmove(body + start, body + head, size);
    memcpy(body, opening, (size_t)start);
    size += (size_t)start;
    size += (size_t)snprintf(body + size, 64, "</ListBucketResult>");
    bool sent = reply(c, r, 200, XML, body, size);
    free(body);
    return sent;
}

static bool list_uploads(struct conn *c, struct request *r)
{
    static const char body[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<ListMultipartUploadsResult" XMLNS "><IsTruncated>false"
                               "</IsTruncated></ListMultipartUploadsResult>";
    counters.lists++;
    return reply(c, r, 200, XML, body, sizeof body - 1);
}

static bool list_parts(struct conn *c, struct request *r, unsigned long long id)
{
    size_t count, size = 0;
    char value[32] = "0";
    counters.lists++;
    query_value(r->query, "part-number-marker", value, sizeof value);
    struct part *parts = parts_of(id, &count);
    if (!parts)
        return refuse(c, r, 404, "NoSuchUpload");
    char *body = malloc(512 + count * ENTRY);
    size = (size_t)sprintf(body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListPartsResult" XMLNS
                           "><IsTruncated>false</IsTruncated>");
    for (size_t i = 0; i < count; i++)
        if (parts[i].number > atoi(value))
            size += (size_t)sprintf(body + size,
                                    "<Part><PartNumber>%d</PartNumber><LastModified>" MODIFIED_ISO
                                    "</LastModified><ETag>\"%s\"</ETag><Size>%lld</Size></Part>",
                                    parts[i].number, parts[i].is.etag, parts[i].is.size);
    size += (size_t)sprintf(body + size, "</ListPartsResult>");
    bool sent = reply(c, r, 200, XML, body, size);
    free(body);
    free(parts);
    return sent;
}

/* --- writing ------------------------------------------------------------------------ */

/* Reads a body; its ETag is its MD5 where that is asked for, else the Content-MD5 that came
   with it, else no MD5 at all. False where the connection is gone. */
static bool take_body(struct conn *c, struct request *r, struct object *is)
{
    EVP_MD_CTX *md5 = options.md5 && r->decoded < 0 ? EVP_MD_CTX_new() : NULL;
    unsigned char digest[16];
    char *data;
    long run;
    if (md5)
        EVP_DigestInit_ex(md5, EVP_md5(), NULL);
    *is = (struct object){.size = r->decoded < 0 ? r->length : r->decoded, .has_crc = r->decoded < 0};
    while ((run = body_next(c, r, &data)) > 0) {
        is->crc = crc32c(is->crc, data, (size_t)run);
        if (md5)
            EVP_DigestUpdate(md5, data, (size_t)run);
    }
    if (md5)
        EVP_DigestFinal_ex(md5, digest, NULL);
    EVP_MD_CTX_free(md5);
    if (md5 || r->has_md5)
        hex_of(md5 ? digest : r->md5, 16, is->etag);
    else
        snprintf(is->etag, sizeof is->etag, "bench%08x%lld", is->crc, is->size);
    return run == 0;
}

static bool confirm(struct conn *c, struct request *r, const struct object *is)
{
    char hash[64], headers[256];
    goog_hash(is, hash, sizeof hash);
    snprintf(headers, sizeof headers, "ETag: \"%s\"\r\n%s", is->etag, hash);
    return reply(c, r, 200, headers, "", 0);
}

static bool put_whole(struct conn *c, struct request *r)
{
    struct object is;
    counters.puts++;
    if (!take_body(c, r, &is))
        return false;
    put_object(r->bucket, r->key, &is);
    return confirm(c, r, &is);
}

static bool upload_part(struct conn *c, struct request *r, unsigned long long id, int number)
{
    struct object is;
    counters.parts++;
    if (!take_body(c, r, &is))
        return false;
    return put_part(id, number, &is) ? confirm(c, r, &is) : refuse(c, r, 404, "NoSuchUpload");
}

static bool create_upload(struct conn *c, struct request *r)
{
    char body[512];
    counters.creates++;
    int size = snprintf(body, sizeof body,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult"
                        XMLNS "><Bucket>%.100s</Bucket><UploadId>%llu</UploadId>"
                        "</InitiateMultipartUploadResult>", r->bucket, begin_upload());
    return reply(c, r, 200, XML, body, (size_t)size);
}

static size_t part_numbers(const char *document, int **numbers)
{
    static const char tag[] = "<PartNumber>";
    size_t count = 0;
    *numbers = malloc(sizeof **numbers * (strlen(document) / 16 + 1));
    while ((document = strstr(document, tag))) {
        document += sizeof tag - 1;
        (*numbers)[count++] = atoi(document);
    }
    return count;
}

static bool complete(struct conn *c, struct request *r, unsigned long long id)
{
    char body[640], *document = body_whole(c, r);
    struct object is;
    int *numbers;
    counters.completes++;
    if (!document)
        return false;
    size_t count = part_numbers(document, &numbers);
    bool whole = finish_upload(id, numbers, count, &is);
    free(numbers);
    free(document);
    if (!whole)
        return refuse(c, r, 404, "NoSuchUpload");
    put_object(r->bucket, r->key, &is);
    char hash[64];
    goog_hash(&is, hash, sizeof hash);
    int size = snprintf(body, sizeof body,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult"
                        XMLNS "><Bucket>%.100s</Bucket><ETag>\"%s\"</ETag>"
                        "</CompleteMultipartUploadResult>", r->bucket, is.etag);
    char headers[128];
    snprintf(headers, sizeof headers, XML "%s", hash);
    return reply(c, r, 200, headers, body, (size_t)size);
}

/* --- which of these ----------------------------------------------------------------- */

static bool of_bucket(struct conn *c, struct request *r)
{
    struct key_space space;
    char value[8];
    if (strcmp(r->method, "GET"))
        return reply(c, r, 200, "", "", 0);
    if (query_value(r->query, "uploads", value, sizeof value))
        return list_uploads(c, r);
    return key_space_of(r->bucket, &space) ? list_keys(c, r, &space) : list_objects(c, r);
}

static bool of_upload(struct conn *c, struct request *r, unsigned long long id)
{
    char number[16] = "";
    if (!strcmp(r->method, "POST"))
        return complete(c, r, id);
    if (!strcmp(r->method, "GET"))
        return list_parts(c, r, id);
    if (!strcmp(r->method, "DELETE")) {
        drop_upload(id);
        return reply(c, r, 204, "", "", 0);
    }
    query_value(r->query, "partNumber", number, sizeof number);
    return upload_part(c, r, id, atoi(number));
}

bool serve_s3(struct conn *c, struct request *r)
{
    char value[32];
    if (refused_by_lot() || throttled()) {
        counters.refused++;
        return refuse(c, r, 503, "SlowDown");
    }
    if (!*r->key)
        return of_bucket(c, r);
    if (query_value(r->query, "uploadId", value, sizeof value))
        return of_upload(c, r, strtoull(value, NULL, 10));
    if (!strcmp(r->method, "GET") || !strcmp(r->method, "HEAD"))
        return get_object(c, r);
    if (!strcmp(r->method, "PUT"))
        return put_whole(c, r);
    if (!strcmp(r->method, "POST") && query_value(r->query, "uploads", value, sizeof value))
        return create_upload(c, r);
    if (strcmp(r->method, "DELETE")) {
        counters.other++;
        return refuse(c, r, 400, "NotImplemented");
    }
    counters.deletes++;
    drop_object(r->bucket, r->key);
    return reply(c, r, 204, "", "", 0);
}
