/* Both sides' accounts, so that a run can be judged object by object: what this server would
   send of a source bucket, and what it holds of what was written. Lines of text:

     GET /_offered/BUCKET        SIZE CRC32C NAME        for every object of a source bucket
     GET /_held                  SIZE CRC32C NAME WRITES for every object that was written

   NAME is bucket/key as it came. CRC32C is in hexadecimal, and of the bytes themselves. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool send_text(struct conn *c, struct request *r, FILE *stream, char **text, size_t *size)
{
    bool whole = !fclose(stream);
    bool sent = whole && reply(c, r, 200, "Content-Type: text/plain\r\n", *text, *size);
    free(*text);
    return sent;
}

static uint32_t crc_of(const struct source *s, long long number)
{
    long long size = source_size(s, number), start = source_start(s, number), run;
    uint32_t crc = 0;
    for (long long at = 0; at < size; at += run) {
        run = size - at < BLOCK ? size - at : BLOCK;
        crc = crc32c(crc, pattern(start + at), (size_t)run);
    }
    return crc;
}

bool serve_offered(struct conn *c, struct request *r)
{
    struct source s = {0};
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (source_of(r->key, &s))
        for (long long number = 0; number < s.count; number++)
            fprintf(stream, "%lld %08x %s/%09lld\n", source_size(&s, number), crc_of(&s, number),
                    r->key, number);
    return send_text(c, r, stream, &text, &size);
}

static void write_down(void *stream, const char *name, const struct object *is, long writes)
{
    fprintf(stream, "%lld %08x %s %ld\n", is->size, is->crc, name, writes);
}

bool serve_held(struct conn *c, struct request *r)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    each_object(write_down, stream);
    return send_text(c, r, stream, &text, &size);
}
