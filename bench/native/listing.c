/* Listings of buckets that hold a great many objects and take no memory. The bucket
   keys-COUNT-FOLDER[-MISSING-DIFFERENT] has COUNT keys, FOLDER in each folder; one in MISSING is
   not there, one in DIFFERENT has another size and ETag than without (0: none). Everything is
   computed from a key's number, and the keys rise with the numbers, so that any place in a
   listing is found by bisection. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XML "Content-Type: application/xml\r\n"
enum { PAGE = 1000, KEY = 128, ENTRY = 1024, HEAD = 64 * 1024, VALUE = 3200 };

/* --- what there is ------------------------------------------------------------------ */

bool key_space_of(const char *bucket, struct key_space *s)
{
    int end = 0;
    *s = (struct key_space){0};
    int found = sscanf(bucket, "keys-%lld-%lld%n-%lld-%lld%n", &s->count, &s->folder, &end,
                       &s->missing, &s->different, &end);
    return (found == 2 || found == 4) && !bucket[end] && s->count >= 0 && s->folder > 0 &&
           s->count / s->folder < 8000LL * 12 * 28;
}

static bool is_there(const struct key_space *s, long long n)
{
    return !s->missing || n % s->missing != s->missing / 2;
}

/* Most names are plain. Some have what listings must encode, and the last two of a folder sort
   by their UTF-8 bytes otherwise than by UTF-16. */
static void key_of(const struct key_space *s, long long n, char key[KEY])
{
    long long folder = n / s->folder, left = s->folder - 1 - n % s->folder;
    const char *before = left == 0 ? "\U0001F600-" : left == 1 ? "\uFB00-" : "part-";
    const char *after = n % 64 == 5 ? " & größe+1.bin" : n % 64 == 37 ? "-日本.bin" : ".bin";
    snprintf(key, KEY, "data/%04lld/%02lld/%02lld/%s%010lld%s", 2000 + folder / 336,
             1 + folder / 28 % 12, 1 + folder % 28, before, n, after);
}

static unsigned long long mixed(unsigned long long n)
{
    n += 0x9e3779b97f4a7c15ULL;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ULL;
    n = (n ^ n >> 27) * 0x94d049bb133111ebULL;
    return n ^ n >> 31;
}

static bool is_different(const struct key_space *s, long long n)
{
    return s->different && n % s->different == s->different / 3;
}

/* The first key that is not before text: behind it, where ``behind`` says so. */
static long long bisect(const struct key_space *s, const char *text, bool behind)
{
    char key[KEY];
    long long low = 0, high = s->count;
    while (low < high) {
        long long middle = low + (high - low) / 2;
        key_of(s, middle, key);
        int order = strcmp(key, text);
        if (order < 0 || (behind && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- one page ----------------------------------------------------------------------- */

struct page {
    struct key_space space;
    char prefix[VALUE], after[VALUE], token[VALUE], delimiter[VALUE], last[KEY];
    bool second, encoded;
    long long keys, limit, next;    /* next: the number of the first key that is not in it */
    size_t size, groups_size;
    char *body, *groups;
};

static char *put(char *to, const char *text)
{
    return stpcpy(to, text);
}

/* As S3 does: of form encoding, with the slash left as it is. */
static char *put_encoded(char *to, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     strchr("/-_.*", c);
        if (plain || c == ' ') {
            *to++ = (char)(plain ? c : '+');
            continue;
        }
        *to++ = '%';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = 0;
    return to;
}

static char *put_escaped(char *to, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': to = put(to, "&amp;"); break;
        case '<': to = put(to, "&lt;"); break;
        case '>': to = put(to, "&gt;"); break;
        default: *to++ = *text;
        }
    }
    *to = 0;
    return to;
}

static char *put_key(char *to, const struct page *p, const char *key)
{
    return p->encoded ? put_encoded(to, key) : put_escaped(to, key);
}

static char *put_digits(char *to, unsigned long long number, int digits)
{
    for (int i = digits; i--; number /= 10)
        to[i] = (char)('0' + number % 10);
    return to + digits;
}

static char *put_date(char *to, unsigned long long seed)
{
    to = put_digits(put(to, "202"), seed % 7, 1);
    *to++ = '-';
    to = put_digits(to, 1 + seed / 7 % 12, 2);
    *to++ = '-';
    to = put_digits(to, 1 + seed / 84 % 28, 2);
    *to++ = 'T';
    to = put_digits(to, seed / 2352 % 24, 2);
    *to++ = ':';
    to = put_digits(to, seed / 56448 % 60, 2);
    *to++ = ':';
    to = put_digits(to, seed / 3386880 % 60, 2);
    return put(to, ".000Z");
}

static char *put_etag(char *to, unsigned long long seed)
{
    static const char hex[] = "0123456789abcdef";
    unsigned long long halves[2] = {mixed(seed), mixed(~seed)};
    to = put(to, "&quot;");
    for (int i = 0; i < 32; i++)
        *to++ = hex[halves[i / 16] >> (i % 16 * 4) & 15];
    return put(to, "&quot;");
}

/* Half of the objects are from before S3 kept a checksum of each. */
static void add_key(struct page *p, long long n, const char *key)
{
    unsigned long long seed = mixed((unsigned long long)n);
    bool other = is_different(&p->space, n);
    char *to = put(p->body + p->size, "<Contents><Key>");
    to = put(put_key(to, p, key), "</Key><LastModified>");
    to = put(put_date(to, seed >> 8), "</LastModified><ETag>");
    to = put(put_etag(to, other ? ~seed : seed), "</ETag>");
    if (seed & 1)
        to = put(to, "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
                     "<ChecksumType>FULL_OBJECT</ChecksumType>");
    to += sprintf(to, "<Size>%llu</Size>", (seed >> 12) % 100000000 + other);
    to = put(to, "<StorageClass>STANDARD</StorageClass></Contents>");
    p->size = (size_t)(to - p->body);
}

static void add_group(struct page *p, const char *group)
{
    char *to = put(p->groups + p->groups_size, "<CommonPrefixes><Prefix>");
    to = put(put_key(to, p, group), "</Prefix></CommonPrefixes>");
    p->groups_size = (size_t)(to - p->groups);
}

/* Cuts a key behind the delimiter that follows the prefix; false where there is none. */
static bool cut_to_group(const struct page *p, char *key)
{
    char *found = *p->delimiter ? strstr(key + strlen(p->prefix), p->delimiter) : NULL;
    if (found)
        found[strlen(p->delimiter)] = 0;
    return found;
}

/* From ``next`` on to the first key that is there and has the prefix; false at the end. */
static bool find_next(struct page *p, char key[KEY])
{
    while (p->next < p->space.count && !is_there(&p->space, p->next))
        p->next++;
    if (p->next >= p->space.count)
        return false;
    key_of(&p->space, p->next, key);
    return !strncmp(key, p->prefix, strlen(p->prefix));
}

static void fill(struct page *p)
{
    char key[KEY];
    while (p->keys < p->limit && find_next(p, key)) {
        long long number = p->next++;
        if (!cut_to_group(p, key)) {
            add_key(p, number, key);
        } else {
            char behind[KEY + 1];
            snprintf(behind, sizeof behind, "%s\xff", key);
            p->next = bisect(&p->space, behind, false);
            if (strcmp(key, p->after) <= 0)
                continue;
            add_group(p, key);
        }
        snprintf(p->last, sizeof p->last, "%s", key);
        p->keys++;
    }
}

static bool ask(struct page *p, struct request *r)
{
    char value[VALUE] = "";
    p->second = query_value(r->query, "list-type", value, sizeof value) && !strcmp(value, "2");
    p->encoded = query_value(r->query, "encoding-type", value, sizeof value) &&
                 !strcmp(value, "url");
    p->limit = PAGE;
    if (query_value(r->query, "max-keys", value, sizeof value) && atoll(value) < PAGE)
        p->limit = atoll(value);
    query_value(r->query, "prefix", p->prefix, VALUE);
    query_value(r->query, "delimiter", p->delimiter, VALUE);
    query_value(r->query, p->second ? "start-after" : "marker", p->after, VALUE);
    long long first = bisect(&p->space, p->prefix, false);
    p->next = *p->after ? bisect(&p->space, p->after, true) : 0;
    if (query_value(r->query, "continuation-token", p->token, VALUE) &&
        sscanf(p->token, "1%llx/=", (unsigned long long *)&p->next) != 1)
        return false;
    p->next = p->next < first ? first : p->next;
    return p->limit >= 0;
}

static char *put_named(char *to, const struct page *p, const char *name, const char *text)
{
    to += sprintf(to, "<%s>", name);
    to = put_key(to, p, text);
    return to + sprintf(to, "</%s>", name);
}

static char *opening(char *to, struct page *p, const char *bucket)
{
    char key[KEY];
    bool more = p->limit && find_next(p, key);
    to += sprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%.100s</Name>",
                  bucket);
    to = put_named(to, p, "Prefix", p->prefix);
    if (*p->after || !p->second)
        to = put_named(to, p, p->second ? "StartAfter" : "Marker", p->after);
    if (more && p->second)
        to += sprintf(to, "<NextContinuationToken>1%llx/=</NextContinuationToken>",
                      (unsigned long long)p->next);
    if (more && !p->second && *p->delimiter)
        to = put_named(to, p, "NextMarker", p->last);
    if (p->second)
        to += sprintf(to, "<KeyCount>%lld</KeyCount>", p->keys);
    to += sprintf(to, "<MaxKeys>%lld</MaxKeys>", p->limit);
    if (*p->delimiter)
        to = put_named(to, p, "Delimiter", p->delimiter);
    return put(put(to, p->encoded ? "<EncodingType>url</EncodingType>" : ""),
               more ? "<IsTruncated>true</IsTruncated>" : "<IsTruncated>false</IsTruncated>");
}

/* False where the request makes no sense. */
static bool answer(struct conn *c, struct request *r, struct page *p, bool *sent)
{
    if (!ask(p, r))
        return false;
    p->size = HEAD;
    fill(p);
    char head[HEAD];
    size_t length = (size_t)(opening(head, p, r->bucket) - head);
    char *start = p->body + HEAD - length;
    memcpy(start, head, length);
    memcpy(p->body + p->size, p->groups, p->groups_size);
    p->size += p->groups_size;
    p->size = (size_t)(put(p->body + p->size, "</ListBucketResult>") - p->body);
    *sent = reply(c, r, 200, XML, start, p->size - (HEAD - length));
    return true;
}

bool list_keys(struct conn *c, struct request *r, const struct key_space *space)
{
    static _Thread_local struct page p;
    bool sent = false;
    counters.lists++;
    p = (struct page){.space = *space};
    p.body = malloc(2 * HEAD + PAGE * ENTRY);
    p.groups = malloc(PAGE * ENTRY);
    if (!answer(c, r, &p, &sent))
        sent = reply(c, r, 400, XML, "<Error><Code>InvalidArgument</Code></Error>", 43);
    free(p.body);
    free(p.groups);
    return sent;
}
