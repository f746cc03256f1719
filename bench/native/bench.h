/* What the bench's server is made of. One thread serves one connection, in blocking calls. */
#ifndef BENCH_H
#define BENCH_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IN_SIZE = 64 * 1024, OUT_SIZE = 32 * 1024, BLOCK = 256 * 1024, PATTERN = 1024 * 1024 };

struct options {
    long delay_ms;     /* before every reply */
    long throttle;     /* S3 requests a second, above that 503 SlowDown; 0: no limit */
    long refuse;       /* of a thousand S3 requests so many get 503 SlowDown, whatever the rate */
    long duplicates;   /* one message in so many tells of an object again, one comes twice */
    bool md5;          /* ETags of what is written are real MD5 sums */
};
extern struct options options;

struct counters {
    atomic_ullong gets, heads, puts, parts, creates, completes, lists, deletes, refused, other;
    atomic_ullong receives, empty_receives, delete_batches, visibility_batches, dynamodb;
    atomic_ullong bytes_in, bytes_out, connections, open, most_open;
};
extern struct counters counters;

struct conn {
    int fd;
    SSL *ssl;          /* NULL: plain */
    size_t at, have;   /* in[at..have) is read and not used */
    size_t out_len;
    char in[IN_SIZE + 1];
    char out[OUT_SIZE];
};

struct request {
    char method[8];
    char *bucket, *key;          /* percent-decoded; "" where there is none */
    char *query;                 /* as sent; "" where there is none */
    char target[64];             /* X-Amz-Target */
    long long length;            /* of the body as it is sent */
    long long decoded;           /* of an aws-chunked body's content, else -1 */
    long long first, last;       /* Range; first -1: none, last -1: open end */
    bool has_md5, expect, close, chunked;
    unsigned char md5[16];       /* Content-MD5 */
    long long left;              /* of the body */
};

/* server.c: all return false where the connection is gone */
bool send_all(struct conn *c, const char *data, size_t length);
bool begin_reply(struct conn *c, struct request *r, int status, const char *headers,
                 long long length);
bool reply(struct conn *c, struct request *r, int status, const char *headers,
           const char *body, size_t length);
bool append(struct conn *c, const char *data, size_t length);
bool flush(struct conn *c);
long body_next(struct conn *c, struct request *r, char **data);
char *body_whole(struct conn *c, struct request *r);
bool query_value(const char *query, const char *name, char *value, size_t size);
size_t percent_decode(char *text);

/* s3.c, aws.c, accounts.c */
bool serve_s3(struct conn *c, struct request *r);
bool serve_aws(struct conn *c, struct request *r);
bool serve_held(struct conn *c, struct request *r);
bool serve_offered(struct conn *c, struct request *r);

/* store.c: a bucket src-SIZE-COUNT[-LARGE-EVERY] holds COUNT objects of SIZE bytes, every
   EVERYth of LARGE, and all begin alike; in vary-SIZE-COUNT[-LARGE-EVERY] each of the first
   PATTERN objects has bytes of its own, from none to SIZE - 1. All other buckets hold what was
   written to them. */
struct source { long long size, count, large, every; bool varied; };
bool source_of(const char *bucket, struct source *found);
long long source_size(const struct source *s, long long number);
long long source_start(const struct source *s, long long number);
void source_etag(const struct source *s, long long number, char etag[48]);
const char *pattern(long long offset);

/* queue.c: the messages of a queue, which has one lock for all */
enum { LONGEST_NAME = 96, DEFAULT_LEASE = 120 };
struct message;
struct queue {
    struct queue *next;
    char name[LONGEST_NAME], bucket[LONGEST_NAME];
    bool jobs;
    struct source source;
    struct message *messages;
    long long count, given, held, deleted, deliveries, deleted_again, acks_twice, strange, expired;
    long long returned_count, returned_room, returned_ever, *returned;
    double first_given, last_deleted, looked;
};
struct delivery { long long message, object; int receives; };
struct queue *queue_named(const char *name);
size_t queue_take(struct queue *q, struct delivery *taken, size_t limit, long lease);
void queue_delete(struct queue *q, const char *handle);
void queue_lease(struct queue *q, const char *handle, long lease);
long long queue_visible(const struct queue *q);
size_t queues_json(char *out, size_t size);

/* listing.c: a bucket keys-COUNT-FOLDER[-MISSING-DIFFERENT] can only be listed */
struct key_space { long long count, folder, missing, different; };
bool key_space_of(const char *bucket, struct key_space *found);
bool list_keys(struct conn *c, struct request *r, const struct key_space *space);

struct object { long long size, start; uint32_t crc; bool has_crc; char etag[48]; };
struct part { int number; struct object is; };
void put_object(const char *bucket, const char *key, const struct object *is);
bool find_object(const char *bucket, const char *key, struct object *is);
void drop_object(const char *bucket, const char *key);
typedef void visitor(void *context, const char *name, const struct object *is, long writes);
void each_object(visitor *visit, void *context);
size_t open_uploads(void);
unsigned long long begin_upload(void);
bool put_part(unsigned long long id, int number, const struct object *is);
bool finish_upload(unsigned long long id, const int *numbers, size_t count, struct object *is);
struct part *parts_of(unsigned long long id, size_t *count);
void drop_upload(unsigned long long id);

void set_up_store(void);
void md5_of(const void *data, size_t length, unsigned char digest[16]);
void hex_of(const unsigned char *data, size_t length, char *text);

/* crc.c */
void set_up_crc(void);
uint32_t crc32c(uint32_t crc, const void *data, size_t length);
uint32_t crc32c_combine(uint32_t first, uint32_t second, long long second_length);
#endif
