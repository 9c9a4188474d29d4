#!lua flags=allow-oom
-- A script, so that access can be taken away also when Redis's memory is full.
redis.call('SADD', KEYS[1], ARGV[2])
return 1
