SELECT aion.query_workflow('told', 'ask', '{"what": 1}');
