/* The synthetic bytes, and what is remembered of written objects and uploads. */
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 256, ROOM = 4096, UPLOADS = 1024, KNOWN_SIZES = 256 };
#define MD5_UP_TO (64LL << 20)

static char *bytes;
static EVP_MD *md5_method;

void md5_of(const void *data, size_t length, unsigned char digest[16])
{
    EVP_Digest(data, length, digest, NULL, md5_method, NULL);
}

void hex_of(const unsigned char *data, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *text++ = digits[data[i] >> 4];
        *text++ = digits[data[i] & 15];
    }
    *text = 0;
}

void set_up_store(void)
{
    bytes = malloc(PATTERN + BLOCK);
    RAND_bytes((unsigned char *)bytes, PATTERN);
    memcpy(bytes + PATTERN, bytes, BLOCK);
    md5_method = EVP_MD_fetch(NULL, "MD5", NULL);
    set_up_crc();
}

/* --- the sources -------------------------------------------------------------------- */

bool source_of(const char *bucket, struct source *s)
{
    *s = (struct source){0};
    s->varied = !strncmp(bucket, "vary-", 5);
    const char *form = s->varied ? "vary-%lld-%lld-%lld-%lld" : "src-%lld-%lld-%lld-%lld";
    int found = sscanf(bucket, form, &s->size, &s->count, &s->large, &s->every);
    return found == 2 || (found == 4 && s->every > 0);
}

long long source_size(const struct source *s, long long number)
{
    if (s->every && number % s->every == 0)
        return s->large;
    return s->varied ? number * 2731 % s->size : s->size;
}

/* Where in the pattern its bytes begin: an odd factor leads to every place once. */
long long source_start(const struct source *s, long long number)
{
    return s->varied ? number * 40503 % PATTERN : 0;
}

const char *pattern(long long offset)
{
    return bytes + offset % PATTERN;
}

static void computed_etag(long long size, char etag[48])
{
    unsigned char digest[16];
    if (size > MD5_UP_TO) { /* as of an object that was written in parts */
        char text[32];
        md5_of(text, (size_t)snprintf(text, sizeof text, "%lld", size), digest);
        hex_of(digest, 16, etag);
        snprintf(etag + 32, 16, "-%lld", size / (16 << 20) + 1);
        return;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, md5_method, NULL);
    for (long long at = 0; at < size; at += BLOCK)
        EVP_DigestUpdate(context, pattern(at), (size_t)(size - at < BLOCK ? size - at : BLOCK));
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    hex_of(digest, 16, etag);
}

/* All objects of one size hold the same bytes, so one MD5 serves them all. */
static void etag_of_size(long long size, char etag[48])
{
    static struct { long long size; char etag[48]; } known[KNOWN_SIZES];
    static atomic_int count;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int seen = atomic_load(&count);
    for (int i = 0; i < seen; i++)
        if (known[i].size == size) {
            memcpy(etag, known[i].etag, 48);
            return;
        }
    computed_etag(size, etag);
    pthread_mutex_lock(&lock);
    seen = atomic_load(&count);
    if (seen < KNOWN_SIZES) {
        known[seen].size = size;
        memcpy(known[seen].etag, etag, 48);
        atomic_store(&count, seen + 1);
    }
    pthread_mutex_unlock(&lock);
}

/* One of its own, as of an object that was written in parts, without its MD5's cost. */
void source_etag(const struct source *s, long long number, char etag[48])
{
    if (s->varied)
        snprintf(etag, 48, "%016llx%016llx-2", (unsigned long long)number,
                 (unsigned long long)source_size(s, number));
    else
        etag_of_size(source_size(s, number), etag);
}

/* --- written objects ---------------------------------------------------------------- */

struct entry { struct entry *next; uint64_t hash; long writes; struct object is; char name[]; };
static struct { pthread_mutex_t lock; struct entry *rows[ROOM]; } shards[SHARDS] = {
    [0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static uint64_t hash_of(const char *bucket, const char *key)
{
    uint64_t hash = 1469598103934665603u;
    for (; *bucket; bucket++)
        hash = (hash ^ (unsigned char)*bucket) * 1099511628211u;
    for (hash = (hash ^ '/') * 1099511628211u; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ^ hash >> 29;
}

static bool named(const struct entry *e, const char *bucket, const char *key)
{
    size_t length = strlen(bucket);
    return !strncmp(e->name, bucket, length) && e->name[length] == '/' &&
           !strcmp(e->name + length + 1, key);
}

static struct entry **row_of(uint64_t hash, const char *bucket, const char *key)
{
    struct entry **at = &shards[hash % SHARDS].rows[hash / SHARDS % ROOM];
    while (*at && ((*at)->hash != hash || !named(*at, bucket, key)))
        at = &(*at)->next;
    return at;
}

void put_object(const char *bucket, const char *key, const struct object *is)
{
    uint64_t hash = hash_of(bucket, key);
    pthread_mutex_lock(&shards[hash % SHARDS].lock);
    struct entry **at = row_of(hash, bucket, key);
    if (!*at) {
        size_t size = strlen(bucket) + strlen(key) + 2;
        *at = calloc(1, sizeof **at + size);
        (*at)->hash = hash;
        snprintf((*at)->name, size, "%s/%s", bucket, key);
    }
    (*at)->is = *is;
    (*at)->writes++;
    pthread_mutex_unlock(&shards[hash % SHARDS].lock);
}

bool find_object(const char *bucket, const char *key, struct object *is)
{
    uint64_t hash = hash_of(bucket, key);
    pthread_mutex_lock(&shards[hash % SHARDS].lock);
    struct entry **at = row_of(hash, bucket, key);
    bool found = *at != NULL;
    if (found)
        *is = (*at)->is;
    pthread_mutex_unlock(&shards[hash % SHARDS].lock);
    return found;
}

void drop_object(const char *bucket, const char *key)
{
    uint64_t hash = hash_of(bucket, key);
    pthread_mutex_lock(&shards[hash % SHARDS].lock);
    struct entry **at = row_of(hash, bucket, key), *old = *at;
    if (old) {
        *at = old->next;
        free(old);
    }
    pthread_mutex_unlock(&shards[hash % SHARDS].lock);
}

/* Of each shard in turn, while it is locked. */
void each_object(visitor *visit, void *context)
{
    for (int shard = 0; shard < SHARDS; shard++) {
        pthread_mutex_lock(&shards[shard].lock);
        for (int row = 0; row < ROOM; row++)
            for (struct entry *e = shards[shard].rows[row]; e; e = e->next)
                visit(context, e->name, &e->is, e->writes);
        pthread_mutex_unlock(&shards[shard].lock);
    }
}

/* --- uploads ------------------------------------------------------------------------ */

struct upload { struct upload *next; unsigned long long id; size_t count, room; struct part *parts; };
static struct upload *uploads[UPLOADS];
static pthread_mutex_t uploads_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long last_id;

static struct upload **upload_of(unsigned long long id)
{
    struct upload **at = &uploads[id % UPLOADS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void forget(struct upload **at)
{
    struct upload *old = *at;
    if (old) {
        *at = old->next;
        free(old->parts);
        free(old);
    }
}

size_t open_uploads(void)
{
    size_t count = 0;
    pthread_mutex_lock(&uploads_lock);
    for (int row = 0; row < UPLOADS; row++)
        for (struct upload *u = uploads[row]; u; u = u->next)
            count++;
    pthread_mutex_unlock(&uploads_lock);
    return count;
}

unsigned long long begin_upload(void)
{
    struct upload *new = calloc(1, sizeof *new);
    pthread_mutex_lock(&uploads_lock);
    unsigned long long id = new->id = ++last_id;
    new->next = uploads[id % UPLOADS];
    uploads[id % UPLOADS] = new;
    pthread_mutex_unlock(&uploads_lock);
    return id;
}

static struct part *part_of(struct upload *u, int number)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->parts[i].number == number)
            return &u->parts[i];
    return NULL;
}

static struct part *new_part(struct upload *u, int number)
{
    if (u->count == u->room) {
        u->room = u->room ? 2 * u->room : 64;
        u->parts = realloc(u->parts, u->room * sizeof *u->parts);
    }
    u->parts[u->count].number = number;
    return &u->parts[u->count++];
}

bool put_part(unsigned long long id, int number, const struct object *is)
{
    pthread_mutex_lock(&uploads_lock);
    struct upload *u = *upload_of(id);
    if (u) {
        struct part *p = part_of(u, number);
        (p ? p : new_part(u, number))->is = *is;
    }
    pthread_mutex_unlock(&uploads_lock);
    return u != NULL;
}

static int by_number(const void *a, const void *b)
{
    return ((const struct part *)a)->number - ((const struct part *)b)->number;
}

/* A copy, by number; the caller frees it. NULL where there is no such upload. */
struct part *parts_of(unsigned long long id, size_t *count)
{
    struct part *copy = NULL;
    pthread_mutex_lock(&uploads_lock);
    struct upload *u = *upload_of(id);
    if (u) {
        *count = u->count;
        copy = malloc((u->count + 1) * sizeof *copy);
        memcpy(copy, u->parts, u->count * sizeof *copy);
    }
    pthread_mutex_unlock(&uploads_lock);
    if (copy)
        qsort(copy, *count, sizeof *copy, by_number);
    return copy;
}

static void add_md5(EVP_MD_CTX *context, const char *etag)
{
    unsigned char byte;
    for (int i = 0; i < 32 && sscanf(etag + i, "%2hhx", &byte) == 1; i += 2)
        EVP_DigestUpdate(context, &byte, 1);
}

/* False where the upload or one of the parts is not there. */
bool finish_upload(unsigned long long id, const int *numbers, size_t count, struct object *is)
{
    size_t known;
    struct part *parts = parts_of(id, &known);
    if (!parts)
        return false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, md5_method, NULL);
    *is = (struct object){.has_crc = true};
    bool complete = true;
    for (size_t i = 0; i < count; i++) {
        struct part wanted = {.number = numbers[i]};
        struct part *p = bsearch(&wanted, parts, known, sizeof *parts, by_number);
        complete = complete && p;
        if (!p)
            break;
        is->crc = crc32c_combine(is->crc, p->is.crc, p->is.size);
        is->has_crc = is->has_crc && p->is.has_crc;
        is->size += p->is.size;
        add_md5(context, p->is.etag);
    }
    unsigned char digest[16];
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    hex_of(digest, 16, is->etag);
    snprintf(is->etag + 32, 16, "-%zu", count);
    free(parts);
    if (complete)
        drop_upload(id);
    return complete;
}

void drop_upload(unsigned long long id)
{
    pthread_mutex_lock(&uploads_lock);
    forget(upload_of(id));
    pthread_mutex_unlock(&uploads_lock);
}
